//! The control socket, for those who have much to say.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// A whole configuration of many routes takes a while, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection to dproxy that takes one request after the other.
pub struct Api(BufReader<UnixStream>);

impl Api {
    /// Connects to the socket.
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket);
        let stream = stream.unwrap_or_else(|error| panic!("connect to {}: {error}", socket.display()));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a request, which must succeed, and returns what it is answered with.
    pub fn request(&mut self, method: &str, path: &str, body: &str) -> Value {
        let (head, length) = ("Host: dproxy\r\nContent-Type: application/json", body.len());
        let request = format!("{method} {path} HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n{body}");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let (status, answer) = self.response();
        assert!((200..300).contains(&status), "{method} {path} {body}: {status} {answer}");
        answer
    }

    /// Makes what runs like the configuration file.
    pub fn apply(&mut self) -> Value {
        self.request("POST", "/v1/apply?discard_edits=true", "")
    }

    fn response(&mut self) -> (u16, Value) {
        let status = self.line();
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {status:?}"));
        let mut length = 0;
        loop {
            let line = self.line().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the answer breaks off: {line:?}");
        line.trim_end().to_owned()
    }
}
