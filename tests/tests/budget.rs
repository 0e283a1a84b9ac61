//! What the verifier has to look at.

use dproxy_tests::{
    cases::CONFIG,
    kernel::{InKernel, in_namespace},
    world::World,
};

/// The kernel gives up at 1,000,000. The distance is for other kernels and compilers, which count
/// differently. Without calls on the way of a packet, there is more to look at.
const BUDGET: u32 = 250_000;

#[test]
fn verified_instructions() {
    in_namespace("budget::verified_instructions", |interfaces| {
        let world = World::new(CONFIG, interfaces);
        for (loaded, how) in
            [(InKernel::new(&world), ""), (InKernel::logging(&world), ", logging every packet")]
        {
            let programs = loaded.kernel.programs();
            assert_eq!(programs.len(), 2);
            for program in programs {
                let verified = program.verified_instructions.expect("this kernel tells (Linux 5.16)");
                let name = program.name;
                let told = format!("program {name}{how}: {verified} verified instructions, {BUDGET} allowed");
                println!("{told}");
                assert!(verified <= BUDGET, "{told}");
            }
        }
    });
}
