//! Running the loaded program on a packet that nobody has sent: `BPF_PROG_TEST_RUN`.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use dproxy_common::explain::Explain;

use super::{DatapathError, bpf};

/// What a program run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// What the program returned: `XDP_PASS` and so on (linux/bpf.h).
    pub verdict: u32,
    /// The packet afterwards.
    pub frame: Vec<u8>,
    /// Mean time of a run.
    pub duration: Duration,
}

/// Runs the program on a frame as on a real one, see [`super::Kernel::run`].
pub(super) fn run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    interface: u32,
    repeat: u32,
) -> Result<Run, DatapathError> {
    let context = context(0, frame.len(), interface);
    test_run(program, frame, &context, repeat).map_err(|error| cannot("run", &error))
}

/// Runs the egress program on a frame, see [`super::Kernel::run_egress`].
pub(super) fn run_egress(program: BorrowedFd<'_>, frame: &[u8]) -> Result<Run, DatapathError> {
    test_run(program, frame, &[], 1).map_err(|error| cannot("run", &error))
}

/// Octets of an explain request: the metadata in front of the packet.
const REQUEST: usize = size_of::<Explain>();

/// How often to ask again, see [`explain`].
const ATTEMPTS: u32 = 8;

/// Asks the program what it would do with a frame.
///
/// Kernels before 6.11 let a real packet interrupt the run, and the program then takes the question for a
/// part of that. The request comes back as it was, and is made again.
pub(super) fn explain(
    program: BorrowedFd<'_>,
    question: Explain,
    frame: &[u8],
) -> Result<Explain, DatapathError> {
    let packet = [to_octets(question).as_slice(), frame].concat();
    let context = context(REQUEST, packet.len(), 0);
    for _ in 0..ATTEMPTS {
        let run = test_run(program, &packet, &context, 1).map_err(|error| cannot("ask", &error))?;
        let answer = run.frame.first_chunk().map(|octets| from_octets(*octets));
        if let Some(answer) = answer.filter(|answer| answer.key != question.key) {
            return Ok(answer);
        }
    }
    Err(DatapathError("the loaded program does not answer; restart dproxy".to_owned()))
}

/// `struct xdp_md` (linux/bpf.h) for a packet that begins with so many octets of metadata.
fn context(metadata: usize, length: usize, interface: u32) -> [u8; 24] {
    let mut context = [0; 24];
    let fields = [metadata as u32, length as u32, 0, interface, 0, 0];
    for (place, field) in context.chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_ne_bytes());
    }
    context
}

/// How much a packet may grow: from IPv4 to IPv6 and by two VLAN tags.
const GROWTH: usize = 64;

fn test_run(program: BorrowedFd<'_>, packet: &[u8], context: &[u8], repeat: u32) -> io::Result<Run> {
    let mut frame = vec![0; packet.len() + GROWTH];
    let run = bpf::test_run(program, packet, &mut frame, context, repeat)?;
    frame.truncate(run.length as usize);
    Ok(Run { verdict: run.returned, frame, duration: Duration::from_nanos(run.duration.into()) })
}

fn cannot(what: &str, error: &io::Error) -> DatapathError {
    DatapathError(format!("cannot {what} the loaded program: {error}"))
}

fn to_octets(question: Explain) -> [u8; REQUEST] {
    // SAFETY: `repr(C)` of integers without padding (its size is asserted where it is declared).
    unsafe { std::mem::transmute(question) }
}

fn from_octets(octets: [u8; REQUEST]) -> Explain {
    // SAFETY: as above; any octets are integers.
    unsafe { std::mem::transmute(octets) }
}
