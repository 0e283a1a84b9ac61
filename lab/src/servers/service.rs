//! A thread inside a namespace that serves until it is dropped.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::runtime;
use tokio::sync::oneshot;

use crate::{Namespace, NamespaceHandle};

const RELEASE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// A thread with its own runtime in a namespace; stopped and joined on drop.
#[derive(Debug)]
pub(super) struct Service {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// `open` binds the sockets, in the namespace, and returns what serves them. Its failure is
    /// this function's.
    pub fn start<F>(
        namespace: &Namespace,
        name: &str,
        open: impl FnOnce() -> Result<F> + Send + 'static,
    ) -> Result<Self>
    where
        F: Future<Output = ()>,
    {
        let (stop, stopped) = oneshot::channel();
        let (report, opened) = mpsc::channel();
        let handle = namespace.handle();
        let body = move || run(&handle, open, &report, stopped);
        let thread = Builder::new().name(name.to_owned()).spawn(body)?;
        let opened = opened.recv().context("the server's thread ended at once").and_then(|opened| opened);
        opened.with_context(|| format!("start {name} in {}", namespace.name()))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed by itself.
            let _ = thread.join();
        }
    }
}

/// Binds a socket, and tries again while the address
/// is in use: the socket of a server that was stopped lives on for a moment if a child of this process
/// is between fork and exec.
pub(super) fn bind<S>(address: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<S>) -> Result<S> {
    let start = Instant::now();
    loop {
        match bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && start.elapsed() < RELEASE => sleep(POLL),
            result => return result.with_context(|| format!("listen on {address}")),
        }
    }
}

fn run<F: Future<Output = ()>>(
    namespace: &NamespaceHandle,
    open: impl FnOnce() -> Result<F>,
    report: &mpsc::Sender<Result<()>>,
    stopped: oneshot::Receiver<()>,
) {
    let entered = namespace.join().context("enter the namespace");
    let runtime = entered.and_then(|()| Ok(runtime::Builder::new_current_thread().enable_all().build()?));
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return drop(report.send(Err(error))),
    };
    runtime.block_on(async {
        let serving = match open() {
            Ok(serving) => serving,
            Err(error) => return drop(report.send(Err(error))),
        };
        drop(report.send(Ok(())));
        tokio::select! {
            () = serving => {}
            _ = stopped => {}
        }
    });
}
