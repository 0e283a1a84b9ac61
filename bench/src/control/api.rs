//! dproxy's API, on a connection that stays.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Longer than anything is allowed to take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to the control socket.
#[derive(Debug)]
pub struct Api(BufReader<UnixStream>);

impl Api {
    /// Connects.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket).context("connect to dproxy's socket")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request, and waits for its answer, which must be a good one.
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> Result<()> {
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: dproxy\r\nContent-Length: {length}\r\n\r\n{body}");
        self.0.get_mut().write_all(request.as_bytes()).context("send a request")?;
        let (status, body) = self.answer().with_context(|| format!("{method} {path}"))?;
        ensure!(status.starts_with('2'), "{method} {path} is answered {status}: {body}");
        Ok(())
    }

    /// Status and body.
    fn answer(&mut self) -> Result<(String, String)> {
        let status = self.line()?;
        let status = status.strip_prefix("HTTP/1.1 ").context("the answer is not HTTP/1.1")?.to_owned();
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = Some(value.trim().parse()?);
            }
        }
        let mut body = vec![0; length.context("the answer has no length")?];
        self.0.read_exact(&mut body)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        ensure!(line.ends_with('\n'), "the answer breaks off");
        Ok(line.trim_end().to_owned())
    }
}
