//! What the verifier has to look at.

use dproxy_tests::{
    cases::CONFIG,
    kernel::{InKernel, in_namespace},
    world::World,
};

/// The kernel gives up at 1,000,000. The distance is for other kernels and compilers, which count
/// differently.
const BUDGET: u32 = 150_000;

#[test]
fn verified_instructions() {
    in_namespace("budget::verified_instructions", |interfaces| {
        let kernel = InKernel::new(&World::new(CONFIG, interfaces)).kernel;
        for (program, verified) in kernel.verified_instructions() {
            let verified = verified.expect("this kernel tells (Linux 5.16)");
            println!("program {program}: {verified} verified instructions, {BUDGET} allowed");
            assert!(verified <= BUDGET, "{program}: {verified} verified instructions, {BUDGET} allowed");
        }
    });
}
