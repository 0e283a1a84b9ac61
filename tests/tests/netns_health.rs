//! Backends fail, and clients do not notice; a node that fails says so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::spawn;
use std::time::Duration;

use dproxy_lab::{Balancer, Fault, Server, Topology, XdpPass, default_binary, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    Asker, B1, B2, B3, Operator, Real, Software, configuration_with, end, finish, installed, listeners,
    servers, wait_until, wait_until_reachable,
};
use nix::net::if_::if_nametoindex;
use nix::sys::signal::Signal;

/// Everything here takes a fraction of it.
const LIMIT: Duration = Duration::from_secs(20);
const READYZ: &str = "127.0.0.1:8053";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// Queries that tell whether anybody notices.
const QUERIES: usize = 300;

/// The small internet, with backends that are checked ten times a second.
struct Site {
    operator: Operator,
    balancer: Option<Balancer>,
    servers: Vec<Option<Server>>,
    topology: Topology,
}

impl Site {
    /// With these lines about health.
    fn new(name: &str, health: &str) -> Self {
        let topology = Topology::builder(name).build().unwrap();
        let servers = servers(&topology).into_iter().map(Some).collect();
        Self::on(topology, servers, health)
    }

    fn on(topology: Topology, servers: Vec<Option<Server>>, health: &str) -> Self {
        let pool = format!(
            "[pools.p]\npolicy = \"random\"\nbackends = [\"{B1}\", \"{B2}\", \"{B3}\"]\n\
             [pools.p.health]\ninterval = \"100ms\"\ntimeout = \"500ms\"\nquery = \"a.test SOA\"\n\
             [routes]\n\"test\" = \"p\"\n"
        );
        let configuration = configuration_with(&topology, "native", health, &pool);
        let balancer = Balancer::start(&topology, &default_binary().unwrap(), &configuration).unwrap();
        wait_until_reachable(&balancer);
        let operator = Operator::of(&balancer);
        let site = Self { operator, balancer: Some(balancer), servers, topology };
        [B1, B2, B3].iter().for_each(|backend| site.wait_for_state(backend, "up"));
        site
    }

    /// State of a backend, and why.
    fn state(&self, backend: &str) -> (String, String) {
        let listed = self.balancer.as_ref().unwrap().cli(&["backend", "list"]).unwrap();
        let all = listed["backends"].as_array().unwrap().clone();
        let found = all.iter().find(|one| one["address"] == backend).unwrap();
        let text = |key: &str| found["health"][key].as_str().unwrap_or_default().to_owned();
        (text("state"), text("why"))
    }

    fn wait_for_state(&self, backend: &str, state: &str) {
        wait_until(&format!("{backend} to be {state}"), LIMIT, || self.state(backend).0 == state);
    }

    /// Who answers so many queries: each name once, in the order in which they were first heard of.
    fn who(&self) -> Vec<String> {
        let asker = Asker::new(&self.topology.client.namespace, listeners()[0]);
        let mut asker = asker.patience(PATIENCE);
        let mut who: Vec<String> =
            (0..QUERIES).map(|number| asker.who(&wire_name(&format!("n{number}.test")))).collect();
        who.sort_unstable();
        who.dedup();
        who
    }

    /// The first line of `dproxy status`.
    fn first_line(&self) -> String {
        let status = self.operator.does("status");
        status.lines().next().unwrap_or_default().to_owned()
    }

    fn events(&self) -> String {
        self.operator.does("events")
    }

    /// What `/readyz` says.
    fn readyz(&self) -> String {
        let ask = || {
            let mut stream = TcpStream::connect(READYZ)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        };
        self.topology.balancer.enter(ask).unwrap().unwrap_or_else(|error| error.to_string())
    }

    fn wait_for_fault(&self, fault: &str) {
        let what = format!("/readyz to say `{fault}`");
        wait_until(&what, LIMIT, || self.readyz().contains(" 503 ") && self.readyz().contains(fault));
        assert!(self.first_line().contains(fault), "the first line of the status: {}", self.first_line());
        let events = self.events();
        let is_it = |line: &str| line.contains("data-plane-failed") && line.contains(fault);
        assert!(events.lines().any(is_it), "{events}");
    }
}

#[test]
fn a_backend_that_fails_gets_no_queries_and_its_operator_hears_why() {
    if skip_without_root() {
        return;
    }
    let told = std::env::temp_dir().join("netns-health-told");
    let _ = fs::remove_file(&told);
    let command = format!("echo $DPROXY_EVENT $DPROXY_BACKEND >> {}", told.display());
    let health = format!("health.on_change = [\"/bin/sh\", \"-c\", \"{command}\"]");
    let mut site = Site::new("health-fails", &health);
    let follower = Follower::start(&site.operator);
    assert_eq!(site.who(), ["a", "b", "c"]);

    site.servers[0].as_ref().unwrap().set_fault(Fault::Servfail);
    site.wait_for_state(B1, "down");
    assert!(site.state(B1).1.contains("SERVFAIL"), "{:?}", site.state(B1));
    assert_eq!(site.who(), ["b", "c"], "nobody is told of a failure");
    assert!(site.first_line().contains("pool p: down: 10.53.1.10:53 ("), "{}", site.first_line());
    site.servers[0].as_ref().unwrap().set_fault(Fault::None);
    site.wait_for_state(B1, "up");
    assert_eq!(site.who(), ["a", "b", "c"]);

    site.servers[1] = None;
    site.wait_for_state(B2, "down");
    assert_eq!(site.who(), ["a", "c"]);

    let wanted = [("backend-down", B1), ("backend-up", B1), ("backend-down", B2)];
    for (event, backend) in wanted {
        wait_until(&format!("on_change of {event}, {backend}"), LIMIT, || {
            fs::read_to_string(&told).is_ok_and(|told| told.contains(&format!("{event} {backend}\n")))
        });
        follower.wait_for(event, backend);
    }
    fs::remove_file(&told).unwrap();
}

#[test]
fn a_process_that_is_stopped_gets_no_queries_until_it_goes_on() {
    if skip_without_root() {
        return;
    }
    let topology = Topology::builder("health-stopped").build().unwrap();
    let mut servers: Vec<_> = servers(&topology).into_iter().map(Some).collect();
    servers[0] = None;
    let knot = Real::start(&topology, &topology.backends[0], Software::Knot, &["test."]);
    let site = Site::on(topology, servers, "");
    knot.signal(Signal::SIGSTOP);
    site.wait_for_state(B1, "down");
    let stopped = site.who();
    knot.signal(Signal::SIGCONT);
    assert_eq!(stopped, ["b", "c"]);
    site.wait_for_state(B1, "up");
}

#[test]
fn checks_that_fail_everywhere_change_nothing() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("health-all", "");
    for server in site.servers.iter().flatten() {
        server.set_fault(Fault::ServfailSoa);
    }
    wait_until("the pool to fail open", LIMIT, || site.events().contains("pool-fail-open"));
    [B1, B2, B3].iter().for_each(|backend| site.wait_for_state(backend, "down"));
    assert_eq!(site.who(), ["a", "b", "c"], "nobody notices");
    assert!(site.first_line().contains("pool p: 0 of 3 backends up, so that health is ignored"));
    let events = site.events();
    let event = events.lines().find(|line| line.contains("pool-fail-open")).unwrap();
    assert!(event.contains("SERVFAIL"), "the event says why: {event}");
}

#[test]
fn a_restart_sends_nothing_to_who_was_down() {
    if skip_without_root() {
        return;
    }
    let mut site = Site::new("health-restart", "");
    site.servers[2] = None;
    site.wait_for_state(B3, "down");
    // It is written down as soon as it is told.
    site.balancer.take().unwrap().kill().unwrap();
    assert_eq!(site.who(), ["a", "b"], "without the daemon");
    let balancer = Balancer::go_on(&site.topology, &default_binary().unwrap()).unwrap();
    site.balancer = Some(balancer);
    let (state, why) = site.state(B3);
    assert_eq!(state, "down", "from the start");
    assert!(!why.is_empty());
    assert_eq!(site.who(), ["a", "b"]);
}

#[test]
fn a_node_that_does_not_do_its_job_says_so() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("health-ready", &format!("health.address = \"{READYZ}\""));
    wait_until("/readyz to be good", LIMIT, || site.readyz().contains(" 200 "));

    site.topology.balancer.ip("link set backend3 down").unwrap();
    site.wait_for_fault("interface backend3 is down");
    site.topology.balancer.ip("link set backend3 up").unwrap();
    wait_until("/readyz to be good again", LIMIT, || site.readyz().contains(" 200 "));
    assert!(site.events().contains("data-plane-recovered"), "{}", site.events());

    detach(&site.topology);
    site.wait_for_fault("interface client does not carry the fast path any more");
    let _other = XdpPass::attach(&site.topology.balancer, "client").unwrap();
    wait_until("the other program to be named", LIMIT, || {
        let line = site.first_line();
        line.contains("interface client carries XDP program ") && line.contains(" instead of the fast path")
    });
}

/// Takes the program off the client's interface, as its owner's tools can.
fn detach(topology: &Topology) {
    let pin = topology.balancer.enter(|| {
        let namespace = fs::metadata("/proc/thread-self/ns/net").unwrap().ino();
        format!("/sys/fs/bpf/dproxy/links/{namespace}-{}", if_nametoindex("client").unwrap())
    });
    let mut command = topology.balancer.command(installed("bpftool"));
    let ended = finish(command.args(["link", "detach", "pinned", &pin.unwrap()]), LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
}

/// `dproxy events --follow`.
struct Follower {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Follower {
    fn start(operator: &Operator) -> Self {
        let mut command = operator.command("events --follow");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (output, lines) = (child.stdout.take().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let sink = Arc::clone(&lines);
        spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                sink.lock().unwrap().push(line);
            }
        });
        Self { child, lines }
    }

    fn wait_for(&self, event: &str, backend: &str) {
        wait_until(&format!("{event} of {backend} in `dproxy events --follow`"), LIMIT, || {
            self.lines.lock().unwrap().iter().any(|line| line.contains(event) && line.contains(backend))
        });
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        end(self.child.id(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
