//! Messages that are sent in pieces.
