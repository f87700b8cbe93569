//! tungstenite over a pipe, in either role.

use std::io::{self, Cursor, Read, Write};

use async_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use async_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use async_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use async_tungstenite::tungstenite::{Error, Message};
use wspoll::protocol::frame::Opcode;

use crate::script::{MAX_MESSAGE, Plain, Seen};

/// A connection whose peer has said all it will say for now.
struct Pipe {
    input: Cursor<Vec<u8>>,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tungstenite(role: Role, input: Vec<u8>) -> WebSocket<Pipe> {
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_frame_size(Some(MAX_MESSAGE))
        .max_message_size(Some(MAX_MESSAGE));
    let pipe = Pipe { input: Cursor::new(input), output: Vec::new() };
    WebSocket::from_raw_socket(pipe, role, Some(config))
}

/// The bytes that tungstenite sends as a client: masked.
pub(crate) fn encode_as_client(frames: &[Plain]) -> Vec<u8> {
    let mut client = tungstenite(Role::Client, Vec::new());
    for (fin, opcode, payload) in frames {
        let header =
            FrameHeader { is_final: *fin, opcode: theirs(*opcode), ..FrameHeader::default() };
        let frame = Frame::from_payload(header, payload.clone().into());
        client.write(Message::Frame(frame)).expect("the pipe takes everything");
    }
    client.flush().expect("the pipe takes everything");
    client.get_ref().output.clone()
}

pub(crate) fn theirs(opcode: Opcode) -> OpCode {
    match opcode {
        Opcode::Continuation => OpCode::Data(Data::Continue),
        Opcode::Text => OpCode::Data(Data::Text),
        Opcode::Binary => OpCode::Data(Data::Binary),
        Opcode::Close => OpCode::Control(Control::Close),
        Opcode::Ping => OpCode::Control(Control::Ping),
        Opcode::Pong => OpCode::Control(Control::Pong),
    }
}

/// What tungstenite makes of `input`, and the error that ended it, if it was not the end of the input.
pub(crate) fn decode_by_oracle(role: Role, input: Vec<u8>) -> (Vec<Seen>, Option<Error>) {
    let mut peer = tungstenite(role, input);
    let mut seen = Vec::new();
    loop {
        seen.push(match peer.read() {
            Ok(Message::Text(text)) => Seen::Text(text.as_str().to_owned()),
            Ok(Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
            Ok(Message::Ping(bytes)) => Seen::Ping(bytes.to_vec()),
            Ok(Message::Pong(bytes)) => Seen::Pong(bytes.to_vec()),
            Ok(Message::Close(close)) => {
                let close = close.map(|close| (close.code.into(), close.reason.to_string()));
                seen.push(Seen::Close(close));
                return (seen, None);
            }
            Ok(Message::Frame(frame)) => unreachable!("a raw frame: {frame}"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (seen, None);
            }
            Err(error) => return (seen, Some(error)),
        });
    }
}
