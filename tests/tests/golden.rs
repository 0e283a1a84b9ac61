//! The golden table, octet by octet, on the host build and in the kernel.

use dproxy_tests::{
    cases::world,
    golden::run,
    kernel::{InKernel, in_namespace},
    machine::Host,
};

#[test]
fn host() {
    run(&mut Host::new(&world([1, 2])), 1);
}

#[test]
fn kernel() {
    in_namespace("golden::kernel", |interfaces| {
        run(&mut InKernel::new(&world(interfaces)), interfaces[0]);
    });
}
