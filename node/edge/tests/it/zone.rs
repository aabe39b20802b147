//! Two nodes of one zone in one process: what one stores the other finds, a key is filled by one call, and neither needs the other.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use tidegate_edge::{Handle, Limiter, Neighbours, Options, Reply, Service};
use tidegate_gateway::Caches;
use tidegate_proto::{
    cache::MessageV1,
    compiled::caches::{CacheModeV1, CachesV1, MethodCacheV1, RefreshV1, StageCacheV1},
};
use tidegate_telemetry::metrics::Registry;
use tokio::runtime::Runtime;

use crate::room::{Answer, Room, Upstream, eventually, proxy, read_request, snapshot};

/// Requests of a stampede, over both nodes.
const STAMPEDE: usize = 200;
/// What a node may take to notice that the other one is gone.
const SOON: Duration = Duration::from_secs(2);
/// An upstream that takes longer.
const LONG: Duration = Duration::from_secs(3);

/// Carries messages between the nodes of a process, as bytes.
struct Wire {
    runtime: tokio::runtime::Handle,
    own: u64,
    nodes: Arc<Mutex<HashMap<u64, Handle>>>,
    /// Messages vanish.
    is_cut: Arc<AtomicBool>,
    /// Questions that the owner holds a reply for.
    held: Arc<AtomicUsize>,
}

impl Wire {
    fn send(&self, node: u64, message: MessageV1) -> Reply {
        if matches!(message, MessageV1::Ask { waits: true, .. }) {
            self.held.fetch_add(1, SeqCst);
        }
        let bytes = message.encode().unwrap();
        let to = self.nodes.lock().unwrap().get(&node).cloned();
        let (from, is_cut) = (self.own, Arc::clone(&self.is_cut));
        let task = self.runtime.spawn(async move {
            if is_cut.load(SeqCst) {
                return std::future::pending().await;
            }
            let reply = to?.take_cache_message(from, MessageV1::decode(&bytes).ok()?).await.ok()?;
            if is_cut.load(SeqCst) {
                return std::future::pending().await;
            }
            MessageV1::decode(&reply.encode().ok()?).ok()
        });
        Box::pin(async move { task.await.ok()? })
    }
}

impl Neighbours for Wire {
    fn ask(&self, node: u64, message: MessageV1, patience: Duration) -> Reply {
        let reply = self.send(node, message);
        let task = self.runtime.spawn(async move { tokio::time::timeout(patience, reply).await.ok()? });
        Box::pin(async move { task.await.ok()? })
    }

    fn tell(&self, node: u64, message: MessageV1) -> bool {
        drop(self.send(node, message));
        true
    }

    fn forget(&self, key: Vec<u8>, except: Option<u64>) -> bool {
        let others: Vec<u64> = self.nodes.lock().unwrap().keys().copied().collect();
        for node in others.into_iter().filter(|node| *node != self.own && Some(*node) != except) {
            drop(self.send(node, MessageV1::Forget { keys: vec![key.clone()] }));
        }
        true
    }
}

/// What an upstream does with the calls of one path.
#[derive(Clone, Default)]
struct Script {
    /// Header lines of its answers.
    lines: &'static str,
    /// Before each answer.
    pause: Duration,
}

/// An upstream that numbers its answers by path.
struct Origin {
    address: SocketAddr,
    calls: Arc<Mutex<HashMap<String, usize>>>,
    script: Arc<Mutex<Script>>,
}

impl Origin {
    fn new(lines: &'static str) -> Self {
        let calls = Arc::new(Mutex::new(HashMap::new()));
        let script = Arc::new(Mutex::new(Script { lines, ..Script::default() }));
        let (counted, asked) = (Arc::clone(&calls), Arc::clone(&script));
        let upstream = Upstream::scripted(move |stream, _| {
            while let Some(request) = read_request(stream) {
                let mut words = request.split(' ');
                let (verb, path) = (words.next().unwrap(), words.next().unwrap());
                let number = {
                    let mut calls = counted.lock().unwrap();
                    let number = calls.entry(format!("{verb} {path}")).or_default();
                    *number += 1;
                    *number
                };
                let Script { lines, pause } = asked.lock().unwrap().clone();
                thread::sleep(pause);
                let language = request.lines().find_map(|line| line.strip_prefix("lang: ")).unwrap_or("-");
                let body = format!("{language}#{number}");
                let answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{lines}\r\n{body}", body.len());
                if std::io::Write::write_all(stream, answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        Self { address: upstream.address, calls, script }
    }

    fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    fn calls(&self, path: &str) -> usize {
        self.calls.lock().unwrap().get(&format!("GET /{path}")).copied().unwrap_or(0)
    }
}

/// Two nodes in front of an upstream.
struct Zone {
    rooms: [Room; 2],
    origin: Origin,
    is_cut: Arc<AtomicBool>,
    held: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Zone {
    fn new(lines: &'static str) -> Self {
        let origin = Origin::new(lines);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (nodes, is_cut) = (Arc::new(Mutex::new(HashMap::new())), Arc::new(AtomicBool::new(false)));
        let held = Arc::new(AtomicUsize::new(0));
        let rooms = [1, 2].map(|own| {
            let room = serve(&origin);
            nodes.lock().unwrap().insert(own, room.handle.clone());
            let wire = Wire {
                runtime: runtime.handle().clone(),
                own,
                nodes: Arc::clone(&nodes),
                is_cut: Arc::clone(&is_cut),
                held: Arc::clone(&held),
            };
            room.handle.join_zone(Arc::new(wire));
            room.handle.set_zone(own, &[1, 2]);
            room
        });
        Self { rooms, origin, is_cut, held, _runtime: runtime }
    }

    /// Asks a node; `more` are header lines.
    fn ask(&self, node: usize, verb: &str, target: &str, more: &str) -> Answer {
        self.rooms[node].ask(&format!("{verb} /dev/{target}\n{more}"), "")
    }

    fn get(&self, node: usize, target: &str) -> String {
        let answer = self.ask(node, "GET", target, "");
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.body().to_owned()
    }

    /// Sends requests to both nodes at the same time, each with one of these header lines.
    fn stampede(&self, target: &str, lines: &[&str]) -> Vec<String> {
        thread::scope(|scope| {
            let ask = |number: usize| {
                let line = lines[number / 2 % lines.len()];
                scope.spawn(move || {
                    let answer = self.ask(number % 2, "GET", target, line);
                    assert_eq!(answer.status(), 200, "{answer:?}");
                    answer.body().to_owned()
                })
            };
            let all: Vec<_> = (0..STAMPEDE).map(ask).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        })
    }

    /// Checks how many calls a stampede made of keys that are asked for in turn. A question that had no reply in its 50 ms, as happens
    /// where processors are taken away, costs a call; of a stampede in which one had none nothing is said.
    fn check_calls(&self, paths: &[&str], expect: usize, stampede: impl Fn(&str)) {
        let failed = || [0, 1].map(|node| self.count(node, r#"cache_zone_asks_total{result="failed"}"#));
        let undisturbed = paths.iter().filter(|path| {
            let before = (failed(), self.origin.calls(path));
            stampede(path);
            let is_undisturbed = failed() == before.0;
            let calls = self.origin.calls(path) - before.1;
            assert!(calls == expect || !is_undisturbed, "{path}: {calls} calls");
            is_undisturbed
        });
        assert!(undisturbed.count() > 0, "every stampede was disturbed");
    }

    /// A path after `prefix` whose key this node does not own, and whose answers are stored nowhere.
    fn path_owned_by_other(&self, node: usize, prefix: &str) -> String {
        (0..64)
            .map(|number| format!("{prefix}/of-other-{number}"))
            .find(|path| {
                let before = self.count(node, r#"cache_zone_asks_total{result="fill"}"#);
                self.get(node, path);
                self.ask(node, "DELETE", path, "");
                eventually("both forget", || {
                    let kept = |node| self.ask(node, "GET", path, "Cache-Control: only-if-cached").status();
                    [0, 1].map(kept) == [504, 504]
                });
                self.count(node, r#"cache_zone_asks_total{result="fill"}"#) > before
            })
            .expect("a node owns no key")
    }

    fn count(&self, node: usize, name: &str) -> u64 {
        let text = self.rooms[node].registry.render();
        let line = text.lines().find_map(|line| line.split_once(name));
        line.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
    }
}

fn serve(origin: &Origin) -> Room {
    let integration = proxy(origin.address, "/{proxy}");
    let first =
        snapshot(1, &[("/http/{proxy+}", "ANY", integration.clone()), ("/aws/{proxy+}", "ANY", integration)]);
    let method = |path: &str, mode| MethodCacheV1 {
        path: path.into(),
        verb: "ANY".into(),
        mode,
        ttl_s: 60,
        refresh: RefreshV1::Anyone,
        ..MethodCacheV1::default()
    };
    let stage = StageCacheV1 {
        api: "api1".into(),
        stage: "dev".into(),
        bytes_max: 64 << 20,
        methods: vec![method("/http/{proxy+}", CacheModeV1::Http), method("/aws/{proxy+}", CacheModeV1::Aws)],
        ..StageCacheV1::default()
    };
    let caches = Caches::build(Arc::new(CachesV1 { stages: vec![stage] }), first.stages());
    let mut options = Options { shards: 2, ..Options::default() };
    options.listener.address = ([127, 0, 0, 1], 0).into();
    options.listener.drain_timeout_ms = 2_000;
    let registry = Registry::new(100);
    let first = Arc::new(first.with_caches(Arc::new(caches)));
    Room::run(Service::new(options, first, Limiter::default(), registry.clone()).unwrap(), registry, None)
}

const FRESH: &str = "Cache-Control: max-age=60\r\n";
/// Fresh for a second.
const BRIEF: &str = "Cache-Control: max-age=60\r\nAge: 59\r\n";

#[test]
fn a_stampede_is_one_call_whoever_owns_the_key() {
    let zone = Zone::new(FRESH);
    zone.origin.change(|script| script.pause = Duration::from_millis(150));
    for prefix in ["http", "aws"] {
        let paths = ["a", "b", "c", "d", "e"].map(|path| format!("{prefix}-{path}"));
        zone.check_calls(&paths.each_ref().map(String::as_str), 1, |path| {
            zone.stampede(&format!("{prefix}/{path}"), &[""]);
        });
    }
    // A node that was too slow once is passed over for a moment.
    zone.origin.change(|script| script.pause = Duration::ZERO);
    let mut number = 0;
    eventually("each node owns keys", || {
        number += 1;
        for node in [0, 1] {
            zone.get(node, &format!("http/more-{number}"));
        }
        [0, 1].iter().all(|node| zone.count(*node, "cache_zone_served_total") > 0)
    });
}

#[test]
fn a_stampede_on_an_expired_key_is_one_call() {
    let zone = Zone::new(BRIEF);
    zone.origin.change(|script| script.pause = Duration::from_millis(150));
    zone.check_calls(&["a", "b", "c"], 2, |path| {
        let target = format!("http/{path}");
        let before = zone.stampede(&target, &[""]);
        let is_expired =
            |node| zone.ask(node, "GET", &target, "Cache-Control: only-if-cached").status() == 504;
        eventually("the answer expires on both nodes", || is_expired(0) && is_expired(1));
        let after = zone.stampede(&target, &[""]);
        assert!(after.iter().all(|body| !before.contains(body)), "{path}: {before:?} {after:?}");
    });
}

#[test]
fn a_stampede_on_variants_is_one_call_for_each() {
    let zone = Zone::new("Cache-Control: max-age=60\r\nVary: lang\r\n");
    zone.origin.change(|script| script.pause = Duration::from_millis(150));
    zone.check_calls(&["a", "b", "c"], 2, |path| {
        let answers = zone.stampede(&format!("http/{path}"), &["lang: de", "lang: en"]);
        for (number, body) in answers.iter().enumerate() {
            let language = if number / 2 % 2 == 0 { "de#" } else { "en#" };
            assert!(body.starts_with(language), "{path} {number}: {body}");
        }
    });
}

#[test]
fn what_one_has_stored_the_other_finds_and_its_age_goes_on() {
    let zone = Zone::new("Cache-Control: max-age=60\r\nAge: 7\r\nX-Up: 1\r\n");
    for path in ["a", "b", "c", "d"] {
        let target = format!("http/{path}");
        zone.get(0, &target);
        // The first one tells the owner after it has answered.
        eventually("the other one finds it", || {
            let answer = zone.ask(1, "GET", &target, "Cache-Control: max-age=30");
            answer.header("age").is_some_and(|age| (7..30).contains(&age.parse::<u64>().unwrap()))
                && answer.header("x-up") == Some("1")
        });
        assert!(zone.origin.calls(path) <= 2, "{path}");
        let calls = zone.origin.calls(path);
        let other = zone.ask(1, "GET", &target, "Cache-Control: max-age=3");
        assert_eq!((other.status(), zone.origin.calls(path)), (200, calls + 1), "too old, and given");
    }
}

#[test]
fn no_request_needs_the_other_node() {
    let zone = Zone::new(FRESH);
    zone.is_cut.store(true, SeqCst);
    let began = Instant::now();
    for number in 0..40 {
        assert_eq!(zone.get(0, &format!("http/{number}")), "-#1");
    }
    let failed = zone.count(0, r#"cache_zone_asks_total{result="failed"}"#);
    assert!((1..=1 + began.elapsed().as_secs()).contains(&failed), "asked {failed} times");
    let answers = zone.stampede("http/all", &[""]);
    assert!(answers.iter().all(|body| body == "-#1" || body == "-#2"), "{answers:?}");
    assert!(zone.origin.calls("all") <= 2);
}

#[test]
fn who_waits_for_an_owner_that_dies_goes_on_alone() {
    let zone = Zone::new(FRESH);
    let path = zone.path_owned_by_other(0, "http");
    let name = path.strip_prefix("http/").unwrap();
    let calls = zone.origin.calls(name);
    zone.origin.change(|script| script.pause = LONG);
    thread::scope(|scope| {
        scope.spawn(|| zone.ask(1, "GET", &path, ""));
        eventually("the owner calls", || zone.origin.calls(name) == calls + 1);
        zone.origin.change(|script| script.pause = Duration::ZERO);
        let began = Instant::now();
        let waiting = scope.spawn(|| zone.get(0, &path));
        eventually("the other one waits", || zone.held.load(SeqCst) > 0);
        zone.is_cut.store(true, SeqCst);
        assert_eq!(waiting.join().unwrap(), format!("-#{}", calls + 2));
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    });
}

#[test]
fn nobody_waits_for_a_node_that_took_a_ticket_and_died() {
    let zone = Zone::new(FRESH);
    let path = zone.path_owned_by_other(0, "http");
    let name = path.strip_prefix("http/").unwrap();
    let calls = zone.origin.calls(name);
    zone.origin.change(|script| script.pause = LONG);
    thread::scope(|scope| {
        scope.spawn(|| zone.ask(0, "GET", &path, ""));
        eventually("the other one calls", || zone.origin.calls(name) == calls + 1);
        zone.origin.change(|script| script.pause = Duration::ZERO);
        let began = Instant::now();
        let waiting = scope.spawn(|| zone.get(1, &path));
        zone.rooms[1].handle.set_zone(2, &[2]);
        assert_eq!(waiting.join().unwrap(), format!("-#{}", calls + 2));
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    });
}

#[test]
fn what_one_makes_invalid_is_invalid_at_once_there_and_soon_elsewhere() {
    for (lines, headers) in
        [(FRESH, [""].as_slice()), ("Cache-Control: max-age=60\r\nVary: lang\r\n", &["lang: de", "lang: en"])]
    {
        let zone = Zone::new(lines);
        for path in ["a", "b", "c", "d"] {
            let target = format!("http/{path}");
            let get = |node, header| zone.ask(node, "GET", &target, header).body().to_owned();
            let old: Vec<String> =
                [0, 1].iter().flat_map(|node| headers.iter().map(|header| get(*node, header))).collect();
            zone.ask(0, "DELETE", &target, "");
            for header in headers {
                let new = get(0, header);
                assert!(!old.contains(&new), "{target} {header}: {new} is from before");
                eventually("the other one forgets", || !old.contains(&get(1, header)));
            }
        }
    }
}

#[test]
fn who_has_an_answer_replaced_gets_it_replaced_everywhere() {
    let zone = Zone::new("");
    for path in ["a", "b", "c", "d"] {
        let target = format!("aws/{path}");
        assert_eq!(zone.get(0, &target), "-#1");
        eventually("both have it", || zone.get(1, &target) == "-#1");
        let calls = zone.origin.calls(path);
        let refreshed = zone.ask(0, "GET", &target, "Cache-Control: max-age=0").body().to_owned();
        assert_eq!(refreshed, format!("-#{}", calls + 1));
        eventually("the other one has the new one", || zone.get(1, &target) == refreshed);
        assert_eq!(zone.get(0, &target), refreshed);
        assert_eq!(zone.origin.calls(path), calls + 1);
    }
}

#[test]
fn answers_that_are_not_for_all_hold_nobody_up() {
    let zone = Zone::new("Cache-Control: private\r\n");
    let path = zone.path_owned_by_other(0, "http");
    // The owner was told that it is not fit for storing, and passes that on.
    let other = path.replace("of-other", "unfit");
    zone.get(0, &other);
    zone.origin.change(|script| script.pause = Duration::from_millis(100));
    let began = Instant::now();
    let mut answers = zone.stampede(&other, &[""]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    answers.sort_unstable();
    answers.dedup();
    assert_eq!(answers.len(), STAMPEDE, "an answer was given twice");
}
