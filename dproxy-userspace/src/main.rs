//! The binary `dproxy`.

fn main() -> std::process::ExitCode {
    dproxy_userspace::cli::main()
}
