//! The program that makes packets.

use anyhow::{Context, Result, ensure};
use aya::maps::{Array, MapData, ProgramArray};
use aya::programs::{Xdp, loaded_programs};
use aya::{Ebpf, Pod, TestRun, TestRunOptions};

use super::cases::Case;
use super::device::Device;

/// The benchmark's own programs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/programs"));

/// As `repeat.rs` of the programs has it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Variation {
    runs: u64,
    names_mask: u32,
    turns: u32,
}

/// The headers, in the order of `repeat.rs`.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Template([u8; 56]);

// SAFETY: integers without padding.
unsafe impl Pod for Variation {}
// SAFETY: octets.
unsafe impl Pod for Template {}

/// Makes packets for one program at a time.
#[derive(Debug)]
pub struct Repeater {
    ebpf: Ebpf,
    packet: Vec<u8>,
    program: u32,
    variation: Variation,
}

/// What is run for each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// The program under test.
    Program,
    /// A program that does nothing.
    Nothing,
}

impl Repeater {
    /// Loads it for a program under test.
    pub fn load(device: &Device) -> Result<Self> {
        let ebpf = Ebpf::load(OBJECT).context("load the benchmark's programs")?;
        let variation = Variation { runs: 0, names_mask: 0, turns: 0 };
        let mut repeater = Self { ebpf, packet: Vec::new(), program: device.program()?.id, variation };
        for name in ["repeat", "nothing"] {
            repeater.xdp(name)?.load().with_context(|| format!("load the benchmark's program {name}"))?;
        }
        Ok(repeater)
    }

    /// Shows it the packet of a case.
    pub fn show(&mut self, device: &Device, case: &Case) -> Result<()> {
        self.packet = Device::query(&case.packet.question())?;
        let names = if case.packet.is_random() { device.tables().random_routes() } else { 1 };
        self.variation = Variation { runs: 0, names_mask: names - 1, turns: 0 };
        let template = template(&self.packet).context("a packet without headers")?;
        Ok(self.array("TEMPLATE")?.set(0, template, 0)?)
    }

    /// Whether every other packet is to be what the program has sent, turned around.
    pub fn turn_around(&mut self, turns: bool) {
        self.variation.turns = u32::from(turns);
    }

    /// Nanoseconds that one run takes, of so many.
    pub fn run(&mut self, measured: Measured, runs: u32) -> Result<f64> {
        let program = match measured {
            Measured::Program => self.program,
            Measured::Nothing => self.xdp("nothing")?.info()?.id(),
        };
        let found = loaded_programs().filter_map(Result::ok).find(|loaded| loaded.id() == program);
        let program = found.context("the program under test is gone")?.fd()?;
        let map = self.ebpf.map_mut("MEASURED").context("MEASURED")?;
        ProgramArray::try_from(map)?.set(0, &program, 0)?;
        let variation = self.variation;
        self.array("VARIATION")?.set(0, variation, 0)?;
        let context = context(self.packet.len() as u32, Device::interface()?);
        let packet = self.packet.clone();
        let result = self.xdp("repeat")?.test_run(TestRunOptions {
            data_in: Some(&packet),
            ctx_in: Some(&context),
            repeat: runs,
            ..TestRunOptions::default()
        })?;
        ensure!(result.return_value != 0, "the program was not run");
        Ok(result.duration.as_nanos() as f64)
    }

    fn xdp(&mut self, name: &str) -> Result<&mut Xdp> {
        Ok(self.ebpf.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?)
    }

    fn array<T: Pod>(&mut self, name: &str) -> Result<Array<&mut MapData, T>> {
        Ok(Array::try_from(self.ebpf.map_mut(name).with_context(|| format!("no map {name}"))?)?)
    }
}

/// The headers of a packet over IPv4, in the order of [`Template`].
fn template(packet: &[u8]) -> Option<Template> {
    let mut octets = [0; 56];
    octets[..8].copy_from_slice(packet.get(34..42)?);
    octets[8..28].copy_from_slice(packet.get(14..34)?);
    octets[28..40].copy_from_slice(packet.get(42..54)?);
    octets[40..54].copy_from_slice(packet.get(..14)?);
    Some(Template(octets))
}

/// `struct xdp_md` (linux/bpf.h) for a packet of so many octets.
fn context(length: u32, interface: u32) -> [u8; 24] {
    let mut context = [0; 24];
    let fields = [0, length, 0, interface, 0, 0];
    for (place, field) in context.chunks_exact_mut(4).zip(fields) {
        place.copy_from_slice(&field.to_ne_bytes());
    }
    context
}
