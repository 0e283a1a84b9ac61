//! Attaching to interfaces.

use std::fs;
use std::os::fd::AsFd;

use aya::programs::Xdp;

use super::world::ip;
use super::*;

/// A kernel with a generation in force, attached.
fn attached(interfaces: &[&str], mode: XdpMode) -> Result<Kernel, DatapathError> {
    let mut kernel = Kernel::load(&options(interfaces, mode))?;
    kernel.publish(Compiler::new(kernel.capacity()).compile(SIMPLE).patch())?;
    kernel.attach()?;
    Ok(kernel)
}

fn programs(interface: &str) -> Vec<(u32, XdpMode)> {
    interface::Interface::named(interface).unwrap().programs
}

fn modes(interfaces: &[&str]) -> Vec<XdpMode> {
    interfaces.iter().flat_map(|interface| programs(interface)).map(|(_, mode)| mode).collect()
}

/// How many pins there are, if there is a folder for them.
fn pins() -> Option<usize> {
    fs::read_dir(format!("{}/links", world::BPFFS)).ok().map(Iterator::count)
}

/// The text of an error that must be.
fn refusal<T, E: ToString>(result: Result<T, E>) -> String {
    result.err().expect("it must be refused").to_string()
}

#[test]
fn auto_is_generic_on_a_veth_and_leaves_nothing_behind() {
    let Some(world) = World::enter() else { return };
    let _far = world.veth("v0", "v1");
    let kernel = attached(&["v0"], XdpMode::Auto).unwrap();
    let [Attachment { interface, mode, fallback, .. }] = &kernel.attachments()[..] else {
        panic!("one interface")
    };
    assert_eq!((interface.as_str(), *mode), ("v0", XdpMode::Generic));
    assert!(fallback.as_deref().unwrap().starts_with("v0 is a veth"), "{fallback:?}");
    assert_eq!(modes(&["v0"]), [XdpMode::Generic]);
    assert_eq!(pins(), Some(2), "of XDP, and of egress");
    drop(kernel);
    assert_eq!(modes(&["v0"]), []);
    assert!(!fs::exists(world::BPFFS).unwrap());
}

#[test]
fn native_is_native_even_on_a_veth() {
    let Some(world) = World::enter() else { return };
    let _far = world.veth("v0", "v1");
    let kernel = attached(&["v0"], XdpMode::Native).unwrap();
    assert_eq!(kernel.attachments()[0].mode, XdpMode::Native);
    assert_eq!(kernel.attachments()[0].fallback, None);
    assert_eq!(modes(&["v0"]), [XdpMode::Native]);
}

#[test]
fn one_interface_without_native_xdp_makes_all_generic() {
    let Some(_world) = World::enter() else { return };
    ip("tuntap add dev t0 mode tap");
    ip("link set t0 up");
    ip("link add b0 type bridge");
    ip("link set b0 up");
    let kernel = attached(&["t0"], XdpMode::Auto).unwrap();
    assert_eq!((modes(&["t0"]), &kernel.attachments()[0].fallback), (vec![XdpMode::Native], &None));
    drop(kernel);

    let kernel = attached(&["t0", "b0"], XdpMode::Auto).unwrap();
    assert_eq!(modes(&["t0", "b0"]), [XdpMode::Generic; 2]);
    for attachment in kernel.attachments() {
        assert_eq!(attachment.mode, XdpMode::Generic);
        assert_eq!(attachment.fallback.as_deref(), Some("the driver of b0 has no native XDP"));
    }
    drop(kernel);

    let error = refusal(attached(&["t0", "b0"], XdpMode::Native));
    assert_eq!(error, "the driver of b0 has no native XDP; listen.xdp = \"auto\" goes on without native XDP");
    assert_eq!(modes(&["t0", "b0"]), []);
    assert_eq!(pins(), None);
}

#[test]
fn an_interface_that_is_down_or_has_a_dot_in_its_name_is_served() {
    let Some(_world) = World::enter() else { return };
    ip("link add b0.100 type bridge");
    let kernel = attached(&["b0.100"], XdpMode::Auto).unwrap();
    assert_eq!(modes(&["b0.100"]), [XdpMode::Generic]);
    drop(kernel);
    assert_eq!(modes(&["b0.100"]), []);
}

#[test]
fn a_missing_interface_is_named() {
    let Some(_world) = World::enter() else { return };
    for name in ["eth7", "a-name-that-no-interface-can-have"] {
        let error = refusal(Kernel::load(&options(&["lo", name], XdpMode::Auto)));
        assert!(error.starts_with(&format!("there is no interface {name}; ")), "{error}");
    }
}

#[test]
fn a_program_of_somebody_else_is_named_and_left_alone() {
    let Some(world) = World::enter() else { return };
    let _far = world.veth("v0", "v1");
    let mut other = aya::Ebpf::load(load::OBJECT).unwrap();
    let pass: &mut Xdp = other.program_mut("pass").unwrap().try_into().unwrap();
    pass.load().unwrap();
    let id = pass.info().unwrap().id();
    let index = interface::Interface::named("v0").unwrap().index;
    for flags in [1 << 1, 1 << 2] {
        let link = bpf::create_xdp_link(pass.fd().unwrap().as_fd(), index, flags).unwrap();
        let before = programs("v0");
        let error = refusal(Kernel::load(&options(&["v0"], XdpMode::Auto)));
        let expected = format!(
            "interface v0 carries an XDP program that is not this dproxy's, and is left alone: pass, id {id}; \
             `bpftool net show dev v0` tells how it is attached: detach it, or take v0 out of listen.interfaces"
        );
        assert_eq!(error, expected);
        assert_eq!(programs("v0"), before);
        drop(link);
    }
    // One that comes between looking and attaching.
    let mut kernel = Kernel::load(&options(&["v0"], XdpMode::Auto)).unwrap();
    kernel.publish(Compiler::new(kernel.capacity()).compile(SIMPLE).patch()).unwrap();
    let _link = bpf::create_xdp_link(pass.fd().unwrap().as_fd(), index, 1 << 1).unwrap();
    let error = refusal(kernel.attach());
    assert!(error.contains("has just got another XDP program"), "{error}");
    drop(kernel);
    assert_eq!(programs("v0"), [(id, XdpMode::Generic)]);
}

#[test]
fn an_interface_is_served_by_one_dproxy() {
    let Some(world) = World::enter() else { return };
    let far = world.veth("v0", "v1");
    let first = attached(&["v0"], XdpMode::Auto).unwrap();
    let before = programs("v0");
    let error = refusal(Kernel::load(&options(&["v0"], XdpMode::Auto)));
    let process = std::process::id();
    let expected = format!(
        "interface v0 is served by another dproxy (process {process}); stop that one, or take v0 out of \
         listen.interfaces"
    );
    assert_eq!(error, expected);
    assert_eq!(programs("v0"), before);
    // Another one in another namespace, with the same folder for pins, and the index of v0.
    world.within(&far, || {
        let second = attached(&["v1"], XdpMode::Auto).unwrap();
        assert_eq!(pins(), Some(4));
        drop(second);
    });
    assert_eq!(programs("v0"), before);
    drop(first);
    attached(&["v0"], XdpMode::Auto).unwrap();
}

#[test]
fn without_a_bpf_file_system_there_is_advice() {
    let Some(_world) = World::enter() else { return };
    world::mount("tmpfs", "/sys/fs/bpf");
    let error = refusal(Kernel::load(&options(&["lo"], XdpMode::Auto)));
    assert_eq!(
        error,
        "/sys/fs/bpf/dproxy is not in a BPF file system; mount one with `mount -t bpf bpf /sys/fs/bpf`, or let \
         control.bpffs name a folder in another one"
    );
}

#[test]
fn a_folder_with_a_dot_is_refused_with_advice() {
    let Some(_world) = World::enter() else { return };
    let error = refusal(Kernel::load(&KernelOptions {
        bpffs: "/sys/fs/bpf/a.b".into(),
        ..options(&[], XdpMode::Auto)
    }));
    assert!(error.contains("without a dot in its name"), "{error}");
}

#[test]
fn without_rights_there_is_advice() {
    let Some(_world) = World::enter() else { return };
    // SAFETY: takes no pointers. Unlike the function of this name, the call is for this thread alone.
    assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, -1, 65534, -1) }, 0);
    let error = refusal(Kernel::load(&options(&["lo"], XdpMode::Auto)));
    assert!(error.contains("run it as root"), "{error}");
    // SAFETY: as above. The thread may run other tests yet.
    assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, -1, 0, -1) }, 0);
}

#[test]
fn an_interface_may_go_while_it_is_served() {
    let Some(_world) = World::enter() else { return };
    ip("link add b0 type bridge");
    let mut kernel = attached(&["b0"], XdpMode::Auto).unwrap();
    ip("link del b0");
    let mut compiler = Compiler::new(kernel.capacity());
    compiler.number = 1;
    kernel.publish(compiler.compile(SIMPLE).patch()).unwrap();
    drop(kernel);
    assert_eq!(pins(), None);
}

#[test]
fn many_starts_in_vain_do_not_hang() {
    let Some(_world) = World::enter() else { return };
    let _first = lock::InterfaceLock::take(1, "lo").unwrap();
    for _ in 0..5000 {
        let error = lock::InterfaceLock::take(1, "lo").unwrap_err().to_string();
        assert!(error.starts_with("interface lo is served by another dproxy"), "{error}");
    }
}
