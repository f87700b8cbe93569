//! A profile in the format of `go tool pprof` (profile.proto of google/pprof), uncompressed.
//!
//! Written by hand: it is varints and lengths (protobuf's encoding, "Message Structure"), and the crates that generate
//! code for it weigh more than all of this listener.

use std::collections::HashMap;

use pprof::Report;

/// Numbers of fields, each after its message.
mod field {
    pub(super) const PROFILE_SAMPLE_TYPE: u64 = 1;
    pub(super) const PROFILE_SAMPLE: u64 = 2;
    pub(super) const PROFILE_LOCATION: u64 = 4;
    pub(super) const PROFILE_FUNCTION: u64 = 5;
    pub(super) const PROFILE_STRINGS: u64 = 6;
    pub(super) const PROFILE_DURATION_NANOS: u64 = 10;
    pub(super) const PROFILE_PERIOD_TYPE: u64 = 11;
    pub(super) const PROFILE_PERIOD: u64 = 12;
    pub(super) const VALUE_TYPE: u64 = 1;
    pub(super) const VALUE_UNIT: u64 = 2;
    pub(super) const SAMPLE_LOCATION: u64 = 1;
    pub(super) const SAMPLE_VALUE: u64 = 2;
    pub(super) const SAMPLE_LABEL: u64 = 3;
    pub(super) const LABEL_KEY: u64 = 1;
    pub(super) const LABEL_STR: u64 = 2;
    pub(super) const LOCATION_ID: u64 = 1;
    pub(super) const LOCATION_LINE: u64 = 4;
    pub(super) const LINE_FUNCTION: u64 = 1;
    pub(super) const LINE_LINE: u64 = 2;
    pub(super) const FUNCTION_ID: u64 = 1;
    pub(super) const FUNCTION_NAME: u64 = 2;
    pub(super) const FUNCTION_SYSTEM_NAME: u64 = 3;
    pub(super) const FUNCTION_FILENAME: u64 = 4;
}

/// Encodes a report whose samples were taken `frequency` times a second.
pub(super) fn encode(report: &Report, frequency: i32) -> Vec<u8> {
    let mut profile = Message::default();
    let mut strings = Strings::default();
    // The first string must be empty.
    strings.number("");
    let period = 1_000_000_000 / frequency.max(1) as u64;
    for (kind, unit) in [("samples", "count"), ("cpu", "nanoseconds")] {
        profile.message(field::PROFILE_SAMPLE_TYPE, strings.value_type(kind, unit));
    }
    profile.message(field::PROFILE_PERIOD_TYPE, strings.value_type("cpu", "nanoseconds"));
    profile.varint(field::PROFILE_PERIOD, period);
    let duration = u64::try_from(report.timing.duration.as_nanos()).unwrap_or(u64::MAX);
    profile.varint(field::PROFILE_DURATION_NANOS, duration);

    // One location for each function and line in it.
    let mut locations = HashMap::<(String, u32), u64>::new();
    for (frames, count) in &report.data {
        let mut sample = Message::default();
        for symbol in frames.frames.iter().flatten() {
            let next = locations.len() as u64 + 1;
            let key = (symbol.sys_name().into_owned(), symbol.lineno());
            let id = *locations.entry(key).or_insert_with(|| {
                let mut function = Message::default();
                function.varint(field::FUNCTION_ID, next);
                function.varint(field::FUNCTION_NAME, strings.number(&symbol.name()));
                function.varint(field::FUNCTION_SYSTEM_NAME, strings.number(&symbol.sys_name()));
                function.varint(field::FUNCTION_FILENAME, strings.number(&symbol.filename()));
                profile.message(field::PROFILE_FUNCTION, function);
                let mut line = Message::default();
                line.varint(field::LINE_FUNCTION, next);
                line.varint(field::LINE_LINE, symbol.lineno().into());
                let mut location = Message::default();
                location.varint(field::LOCATION_ID, next);
                location.message(field::LOCATION_LINE, line);
                profile.message(field::PROFILE_LOCATION, location);
                next
            });
            sample.varint(field::SAMPLE_LOCATION, id);
        }
        let count = u64::try_from(*count).unwrap_or(0);
        sample.varint(field::SAMPLE_VALUE, count);
        sample.varint(field::SAMPLE_VALUE, count * period);
        let mut label = Message::default();
        label.varint(field::LABEL_KEY, strings.number("thread"));
        label.varint(field::LABEL_STR, strings.number(&frames.thread_name_or_id()));
        sample.message(field::SAMPLE_LABEL, label);
        profile.message(field::PROFILE_SAMPLE, sample);
    }
    for string in &strings.list {
        profile.bytes(field::PROFILE_STRINGS, string.as_bytes());
    }
    profile.0
}

/// The table of strings, to which all else refers by number.
#[derive(Default)]
struct Strings {
    list: Vec<String>,
    numbers: HashMap<String, u64>,
}

impl Strings {
    fn number(&mut self, string: &str) -> u64 {
        if let Some(&number) = self.numbers.get(string) {
            return number;
        }
        let number = self.list.len() as u64;
        self.list.push(string.to_owned());
        self.numbers.insert(string.to_owned(), number);
        number
    }

    fn value_type(&mut self, kind: &str, unit: &str) -> Message {
        let mut message = Message::default();
        message.varint(field::VALUE_TYPE, self.number(kind));
        message.varint(field::VALUE_UNIT, self.number(unit));
        message
    }
}

#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, field: u64, value: u64) {
        self.raw(field << 3);
        self.raw(value);
    }

    fn message(&mut self, field: u64, message: Message) {
        self.bytes(field, &message.0);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.raw(field << 3 | 2);
        self.raw(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Seven bits a byte, the lowest first.
    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
