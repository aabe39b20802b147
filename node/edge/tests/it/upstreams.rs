//! Upstreams of several targets: one that dies, one that is silent, several that answer with errors, zones, and names that lead elsewhere.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use tidegate_edge::{Options, Zones};
use tidegate_gateway::{Links, Snapshot};
use tidegate_proto::{
    compiled::links::{LinkCheckV1, LinkTargetV1, LinkUseV1, LinkV1, LinksV1},
    document::Integration,
    status::UpstreamStatus,
};

use crate::room::{Room, Upstream, eventually, integration, read_request, snapshot};

/// A link of targets by zone, without health checks that a test would notice.
fn link(targets: &[(&str, String)]) -> LinkV1 {
    let target = |(az, entry): &(&str, String)| LinkTargetV1 { az: (*az).into(), entry: entry.clone() };
    LinkV1 {
        id: "l1".into(),
        name: "orders".into(),
        targets: targets.iter().map(target).collect(),
        check_interval_s: 300,
        check_timeout_s: 1,
        ..LinkV1::default()
    }
}

/// `/` of the stage, through a link, for each verb.
fn linked(link: LinkV1, integration: Integration) -> Snapshot {
    let snapshot = snapshot(1, &[("/", "ANY", integration)]);
    let uses = vec![LinkUseV1 {
        api: "api1".into(),
        stage: "dev".into(),
        path: "/".into(),
        verb: "ANY".into(),
        link: "l1".into(),
    }];
    let links = Links::build(Arc::new(LinksV1 { links: vec![link], uses }), snapshot.stages());
    snapshot.with_links(Arc::new(links))
}

fn through_link() -> Integration {
    integration("HTTP_PROXY", "http://orders.internal/")
}

/// A node in zone `az-a`.
fn options(direct: bool) -> Options {
    Options { shards: 1, az: "az-a".into(), direct, ..Options::default() }
}

fn serve(direct: bool, targets: &[(&str, String)]) -> Room {
    Room::with(options(direct), linked(link(targets), through_link()))
}

/// An upstream that counts its requests and answers with its name.
struct Named {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    /// The status that it answers with.
    fails: Arc<AtomicBool>,
}

impl Named {
    fn new(name: &'static str) -> Self {
        Self::slow(name, Duration::ZERO)
    }

    fn slow(name: &'static str, pause: Duration) -> Self {
        let (requests, fails) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, failing) = (Arc::clone(&requests), Arc::clone(&fails));
        let upstream = Upstream::scripted(move |stream, _| {
            while read_request(stream).is_some() {
                counted.fetch_add(1, SeqCst);
                thread::sleep(pause);
                let status = if failing.load(SeqCst) { "503 Service Unavailable" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{name}", name.len());
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        Self { address: upstream.address, requests, fails }
    }

    fn at(&self) -> String {
        self.address.to_string()
    }

    fn count(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

/// An address that nobody listens on.
fn dead() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A listener whose queue is full, so that connecting to it takes for ever.
struct Blackhole {
    address: SocketAddr,
    _held: (socket2::Socket, Vec<socket2::Socket>),
}

impl Blackhole {
    fn new() -> Self {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let fill = |_| {
            let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            let _ = client.connect(&address.into());
            client
        };
        let clients: Vec<Socket> = (0..8).map(fill).collect();
        Self { address, _held: (listener, clients) }
    }
}

/// Statuses of so many requests, one after the other.
fn statuses(room: &Room, verb: &str, count: usize) -> Vec<u16> {
    (0..count).map(|_| room.ask(&format!("{verb} /dev"), "").status()).collect()
}

fn status(room: &Room) -> UpstreamStatus {
    room.handle.upstreams().into_iter().find(|one| one.upstream == "l1").unwrap()
}

fn state(room: &Room, address: &str) -> String {
    let status = status(room);
    status.targets.iter().find(|target| target.address == address).unwrap().state.clone()
}

#[test]
fn a_dead_target_is_noticed_by_nobody_and_ejected() {
    for direct in [true, false] {
        for verb in ["GET", "POST"] {
            let (well, dead) = (Named::new("well"), dead());
            let room = serve(direct, &[("az-a", dead.clone()), ("az-b", well.at())]);
            assert_eq!(statuses(&room, verb, 20), [200; 20], "direct {direct}, {verb}");
            assert_eq!(well.count(), 20);
            assert_eq!(state(&room, &dead), "ejected");
            let target = &status(&room).targets[0];
            assert!(target.last_error.as_deref().unwrap().contains("cannot connect"), "{target:?}");
            assert!(status(&room).retries >= 5, "{:?}", status(&room));
        }
    }
}

#[test]
fn a_silent_target_costs_its_connect_timeout_five_times() {
    let (well, hole) = (Named::new("well"), Blackhole::new());
    let room = serve(true, &[("az-a", hole.address.to_string()), ("az-b", well.at())]);
    let started = Instant::now();
    let slowest = (0..20).map(|_| {
        let started = Instant::now();
        assert_eq!(room.ask("GET /dev", "").status(), 200);
        started.elapsed()
    });
    let slowest = slowest.max().unwrap();
    assert!(slowest >= Duration::from_millis(250), "nothing was silent: {slowest:?}");
    assert!(
        slowest < Duration::from_millis(900) && started.elapsed() < Duration::from_secs(4),
        "{slowest:?}"
    );
    assert_eq!(state(&room, &hole.address.to_string()), "ejected");
}

#[test]
fn what_was_sent_is_sent_again_only_where_that_cannot_be_noticed() {
    for direct in [true, false] {
        // Reads the request, then hangs up: whether it was carried out is not known.
        let rude = Upstream::scripted(|stream, _| _ = read_request(stream));
        let well = Named::new("well");
        let room = serve(direct, &[("az-a", rude.address.to_string()), ("az-b", well.at())]);
        assert_eq!(statuses(&room, "POST", 2), [504; 2], "direct {direct}");
        assert_eq!(well.count(), 0);
        assert_eq!(statuses(&room, "GET", 2), [200; 2], "direct {direct}");
        assert_eq!(statuses(&room, "PUT", 2), [200; 2], "direct {direct}");
        assert_eq!(well.count(), 4);
    }
}

#[test]
fn retries_have_a_budget() {
    let rude = || Upstream::scripted(|stream, _| _ = read_request(stream));
    let (one, two) = (rude(), rude());
    let room = serve(true, &[("az-a", one.address.to_string()), ("az-b", two.address.to_string())]);
    assert_eq!(statuses(&room, "GET", 100), [504; 100]);
    let found = status(&room);
    assert!((10..=60).contains(&found.retries), "{found:?}");
    assert!(found.retry_budget_exhausted >= 40, "{found:?}");
    let text = room.registry.render();
    assert!(text.contains("tidegate_upstream_retry_budget_exhausted_total{upstream=\"l1\"}"), "{text}");
}

#[test]
fn errors_eject_up_to_half_and_the_rest_go_on() {
    let all = [Named::new("a"), Named::new("b"), Named::new("c"), Named::new("d")];
    let targets: Vec<(&str, String)> = all.iter().map(|one| ("az-a", one.at())).collect();
    let room = serve(true, &targets);
    all.iter().for_each(|one| one.fails.store(true, SeqCst));
    assert_eq!(statuses(&room, "GET", 200), [503; 200]);
    let out = status(&room).targets.iter().filter(|target| target.state == "ejected").count();
    assert_eq!(out, 2, "{:?}", status(&room));
    assert!(!status(&room).panic && status(&room).retries == 0);
    let text = room.registry.render();
    assert!(text.contains("tidegate_upstream_ejected_targets{upstream=\"l1\"} 2"), "{text}");
    assert!(text.contains("tidegate_upstream_healthy_targets{upstream=\"l1\"} 2"), "{text}");
}

#[test]
fn one_that_answers_with_errors_is_left_out() {
    let all = [Named::new("a"), Named::new("b"), Named::new("c")];
    let targets: Vec<(&str, String)> = all.iter().map(|one| ("az-a", one.at())).collect();
    let room = serve(true, &targets);
    all[1].fails.store(true, SeqCst);
    eventually("the bad one is out", || {
        room.ask("GET /dev", "");
        state(&room, &all[1].at()) == "ejected"
    });
    assert_eq!(statuses(&room, "GET", 30), [200; 30]);
}

#[test]
fn panic_mode_takes_all_when_too_few_pass_their_checks() {
    let (well, dead) = (Named::new("well"), [dead(), dead(), dead()]);
    let mut targets = vec![("az-a", well.at())];
    targets.extend(dead.iter().map(|dead| ("az-a", dead.clone())));
    let checked = LinkV1 { check_interval_s: 1, check: LinkCheckV1::Tcp, ..link(&targets) };
    let room = Room::with(options(true), linked(checked, through_link()));
    eventually("the dead ones fail their checks", || {
        status(&room).targets.iter().filter(|target| target.state == "failing").count() == 3
    });
    assert!(status(&room).panic);
    assert_eq!(statuses(&room, "GET", 10).len(), 10);
    assert!(status(&room).panic_picks > 0);
}

#[test]
fn health_checks_ask_for_their_path_and_bring_back_who_answers() {
    let (well, sick) = (Named::new("well"), Named::new("sick"));
    sick.fails.store(true, SeqCst);
    let targets = [("az-a", sick.at()), ("az-b", well.at())];
    let checked = LinkV1 { check_interval_s: 1, check: LinkCheckV1::Http("/up".into()), ..link(&targets) };
    let room = Room::with(options(true), linked(checked, through_link()));
    eventually("it fails its checks", || state(&room, &sick.at()) == "failing");
    assert!(status(&room).targets[0].last_error.as_deref().unwrap().contains("it answered 503"));
    assert_eq!(room.ask("GET /dev", "").body(), "well");
    sick.fails.store(false, SeqCst);
    eventually("it is back", || state(&room, &sick.at()) == "healthy");
    assert_eq!(room.ask("GET /dev", "").body(), "sick");
}

#[test]
fn calls_stay_in_the_zone_and_leave_it_when_it_is_shifted_or_short() {
    let (here, there) = (Named::new("here"), Named::new("there"));
    let room = serve(true, &[("az-a", here.at()), ("az-b", there.at())]);
    assert_eq!(statuses(&room, "GET", 20), [200; 20]);
    assert_eq!((here.count(), there.count()), (20, 0));
    room.handle.avoid(&["az-a"]);
    assert_eq!(statuses(&room, "GET", 20), [200; 20]);
    assert_eq!((here.count(), there.count()), (20, 20));
    assert_eq!((state(&room, &here.at()), status(&room).spilled_picks), ("shifted".into(), 20));
    room.handle.avoid(&[]);
    assert_eq!(statuses(&room, "GET", 20), [200; 20]);
    assert_eq!((here.count(), there.count()), (40, 20));
}

#[test]
fn a_slow_target_gets_less_and_a_try_has_its_own_bound() {
    // Repeatable calls that the slow one does not answer in time are made elsewhere.
    let (slow, well) = (Named::slow("slow", Duration::from_secs(2)), Named::new("well"));
    let targets = [("az-a", slow.at()), ("az-b", well.at())];
    let bounded = LinkV1 { try_timeout_ms: 200, ..link(&targets) };
    for direct in [true, false] {
        let room = Room::with(options(direct), linked(bounded.clone(), through_link()));
        let started = Instant::now();
        assert_eq!(room.ask("GET /dev", "").body(), "well");
        assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
        assert_eq!(room.ask("POST /dev", "").body(), "slow", "what may not be repeated waits");
    }
}

#[test]
fn a_link_without_targets_is_a_configuration_error() {
    for direct in [true, false] {
        let room = serve(direct, &[]);
        let answer = room.ask("GET /dev", "");
        assert_eq!((answer.status(), answer.body()), (500, r#"{"message":"Internal server error"}"#));
    }
}

#[test]
fn a_link_carries_the_name_of_its_integration() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let room = serve(true, &[("", upstream.address.to_string())]);
    assert_eq!(room.ask("GET /dev", "").status(), 200);
    assert!(upstream.seen().contains("Host: orders.internal\r\n"));
}

/// A DNS server that gives every name the same addresses on loopback, and every service two hosts of which the second is a reserve;
/// without addresses it answers that there are none.
struct Dns {
    address: SocketAddr,
    hosts: Arc<Mutex<Vec<Ipv4Addr>>>,
    asked: Arc<AtomicUsize>,
}

impl Dns {
    fn new(hosts: &[Ipv4Addr]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (address, hosts) = (socket.local_addr().unwrap(), Arc::new(Mutex::new(hosts.to_vec())));
        let (known, asked) = (Arc::clone(&hosts), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&asked);
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                counted.fetch_add(1, SeqCst);
                let _ = socket.send_to(&reply(&buffer[..length], &known.lock().unwrap()), peer);
            }
        });
        Self { address, hosts, asked }
    }
}

/// An answer (RFC 1035 §4): the question again, and for type A the addresses.
fn reply(question: &[u8], hosts: &[Ipv4Addr]) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let kind = question[end - 3];
    let records: Vec<Vec<u8>> = match kind {
        1 => hosts.iter().map(|host| host.octets().to_vec()).collect(),
        33 => vec![service(10, "first"), service(20, "reserve")],
        _ => Vec::new(),
    };
    let mut out = question[..2].to_vec();
    out.extend([0x85, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    out.extend(&question[12..end]);
    for record in records {
        out.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, record.len() as u8]);
        out.extend(record);
    }
    out
}

/// The port that services name; whoever listens takes it from here.
static SERVICE_PORT: AtomicUsize = AtomicUsize::new(0);

/// The data of an SRV record (RFC 2782): priority, weight, port, host.
fn service(priority: u8, host: &str) -> Vec<u8> {
    let port = SERVICE_PORT.load(SeqCst) as u16;
    let mut data = vec![0, priority, 0, 0];
    data.extend(port.to_be_bytes());
    data.push(host.len() as u8);
    data.extend(host.as_bytes());
    data.push(0);
    data
}

/// Upstreams on one port of several loopback addresses.
fn on_one_port(names: &'static [&'static str]) -> (u16, Vec<Arc<AtomicUsize>>) {
    let first = TcpListener::bind("127.0.0.2:0").unwrap();
    let port = first.local_addr().unwrap().port();
    let others = (3..)
        .take(names.len() - 1)
        .map(|last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).unwrap());
    let counters = std::iter::once(first).chain(others).zip(names).map(|(listener, name)| {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, counted) = (stream.unwrap(), Arc::clone(&counted));
                thread::spawn(move || {
                    while read_request(&mut stream).is_some() {
                        counted.fetch_add(1, SeqCst);
                        let answer =
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
                        stream.write_all(answer.as_bytes()).unwrap();
                    }
                });
            }
        });
        count
    });
    let counters = counters.collect();
    (port, counters)
}

#[test]
fn a_name_leads_to_all_its_addresses_and_follows_them_but_never_into_nothing() {
    let (port, counts) = on_one_port(&["two", "three", "four"]);
    let address = |last| Ipv4Addr::new(127, 0, 0, last);
    let dns = Dns::new(&[address(2), address(3)]);
    let zones = Zones::new([("az-a", "127.0.0.2"), ("az-b", "127.0.0.0/24")]).unwrap();
    let options = Options { dns: vec![dns.address], zones, ..options(true) };
    let uri = format!("http://orders.internal:{port}/");
    let room = Room::with(options, snapshot(1, &[("/", "GET", integration("HTTP_PROXY", &uri))]));
    assert_eq!(statuses(&room, "GET", 20), [200; 20]);
    let found = || room.handle.upstreams().remove(0);
    let azs: Vec<String> = found().targets.into_iter().map(|target| target.az).collect();
    assert_eq!(azs, ["az-a", "az-b"]);
    assert_eq!((counts[0].load(SeqCst), counts[1].load(SeqCst)), (20, 0), "the zone of the node");
    *dns.hosts.lock().unwrap() = vec![address(4)];
    eventually("the new address is called", || {
        room.ask("GET /dev", "");
        counts[2].load(SeqCst) > 0
    });
    dns.hosts.lock().unwrap().clear();
    let asked = dns.asked.load(SeqCst);
    eventually("an empty answer came", || {
        room.ask("GET /dev", "");
        dns.asked.load(SeqCst) > asked + 1
    });
    assert_eq!(statuses(&room, "GET", 20), [200; 20]);
    assert_eq!(found().targets.len(), 1);
}

#[test]
fn a_service_leads_to_the_hosts_of_its_first_priority() {
    let (port, counts) = on_one_port(&["two", "three"]);
    SERVICE_PORT.store(port.into(), SeqCst);
    let dns = Dns::new(&[Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)]);
    let options = Options { dns: vec![dns.address], ..options(true) };
    let targets = [("az-a", "srv:_http._tcp.orders.internal".to_owned())];
    let room = Room::with(options, linked(link(&targets), through_link()));
    assert_eq!(statuses(&room, "GET", 60), [200; 60]);
    let addresses: Vec<String> = status(&room).targets.into_iter().map(|target| target.address).collect();
    assert_eq!(addresses, [format!("127.0.0.2:{port}"), format!("127.0.0.3:{port}")]);
    assert!(counts.iter().all(|count| count.load(SeqCst) > 0));
}
