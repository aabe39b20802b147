//! The disk as its users see it, over real files.

mod damage;
mod model;

use std::{fs, path::PathBuf};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tempfile::TempDir;
use tidegate_cache::{range::Stored, terms::Terms, vary::Vary};

use super::{
    super::{
        entry::{Fresh, Origin},
        store::{Kept, Variants},
    },
    tier::Found,
    *,
};

const SCOPE: &[u8] = b"scope";
/// A time of the wall clock, in milliseconds since 1970.
const NOW_MS: u64 = 1_795_000_000_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// A disk in a folder that stays when the disk is closed.
struct Rig {
    _folder: TempDir,
    options: DiskOptions,
    records_max: usize,
    disk: Option<Arc<Disk>>,
    registry: Registry,
    runtime: tokio::runtime::Runtime,
}

impl Rig {
    fn new(bytes_max: u64) -> Self {
        Self::of(bytes_max, &[], NOW_MS)
    }

    /// A disk over what an earlier process left.
    fn of(bytes_max: u64, files: &[(String, Vec<u8>)], now_ms: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let options = DiskOptions { folder: cache, bytes_max, read_timeout_ms: 10_000, key: [7; 32] };
        fs::create_dir(&options.folder).unwrap();
        fs::write(options.folder.join("state"), "closed").unwrap();
        files.iter().for_each(|(name, bytes)| fs::write(options.folder.join(name), bytes).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut rig = Self {
            _folder: folder,
            options,
            records_max: 1_000,
            disk: None,
            registry: Registry::new(10),
            runtime,
        };
        rig.open(now_ms);
        rig
    }

    /// Opens the disk in a process that begins at this time, a second of which has passed.
    fn open(&mut self, now_ms: u64) {
        self.begin(now_ms);
        eventually("all is known", || self.disk().shared.index.is_whole());
    }

    /// The same, while it is not known yet what is there.
    fn begin(&mut self, now_ms: u64) {
        let origin = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        self.registry = Registry::new(10);
        let clock = Clock::at(origin, Duration::from_millis(now_ms));
        let disk = Disk::open_at(&self.options, clock, self.records_max, &self.registry).unwrap();
        self.disk = Some(disk);
    }

    fn disk(&self) -> &Arc<Disk> {
        self.disk.as_ref().unwrap()
    }

    fn tier(&self) -> Tier {
        self.disk().tier(SCOPE)
    }

    /// Ends the process in order.
    fn close(&mut self, answers: &[&Arc<Entry>]) {
        let tier = self.tier();
        let answers = answers.iter().map(|entry| (tier.clone(), Arc::clone(entry))).collect();
        self.runtime.block_on(self.disk.take().unwrap().close(answers));
    }

    /// Ends the process without a word, but not in the middle of one.
    fn kill(&mut self) {
        let shared = Arc::downgrade(&self.disk().shared);
        self.disk = None;
        eventually("the process has ended", || shared.strong_count() == 0);
    }

    /// Writes answers and waits until they are.
    fn write(&self, answers: &[Arc<Entry>]) {
        for entry in answers {
            self.tier().offer(entry);
            self.settled();
        }
    }

    /// Waits until nothing waits for being written.
    fn settled(&self) {
        let shared = &self.disk().shared;
        eventually("all is written", || {
            shared.waiting_bytes.load(Relaxed) == 0 && lock(&shared.marks).names.is_empty()
        });
        // The last one has been taken, and is settled when the next one is.
        let (told, seen) = std::sync::mpsc::channel();
        let jobs = self.disk().writer.clone();
        self.disk().keep_scopes(std::iter::once(SCOPE));
        thread::spawn(move || {
            let _ = jobs.send(Job::Wake);
            let _ = told.send(());
        });
        seen.recv_timeout(PATIENCE).unwrap();
        eventually("the writer looked", || lock(&shared.live).is_none());
    }

    fn find(&self, key: &[u8]) -> Option<Arc<Entry>> {
        self.find_with(key, None, &HeaderMap::new())?.entry
    }

    fn find_with(&self, key: &[u8], known: Option<Arc<Variants>>, headers: &HeaderMap) -> Option<Found> {
        let tier = self.tier();
        self.runtime.block_on(tier.find(key, known, |variants| variants.key_of(headers)))
    }

    fn counter(&self, name: &str) -> u64 {
        let name = format!("tidegate_cache_disk_{name}_total ");
        let text = self.registry.render();
        text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
    }

    /// Files with answers, and the bytes in them.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(&self.options.folder).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> =
            entries.filter(|path| path.extension().is_some_and(|ending| ending == "answers")).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn fresh(body: &[u8]) -> Fresh {
    let mut headers = HeaderMap::new();
    headers.append("x-a", HeaderValue::from_static("1"));
    headers.append("x-a", HeaderValue::from_bytes(b"\xff2").unwrap());
    headers.append("etag", HeaderValue::from_static("\"e\""));
    Fresh {
        status: StatusCode::OK,
        headers,
        body: Bytes::copy_from_slice(body),
        part: Some(Stored::whole(body.len() as u64)),
        stored_ns: 1_000_000_000,
        stored_s: NOW_MS / 1_000 - 20,
        terms: Terms { age_s: 20, lifetime_s: 3_600, stale_if_error_s: Some(9), ..Terms::default() },
        origin: Origin {
            verb: "GET".into(),
            resource: "/p/{id}".into(),
            path: "/p/1".into(),
            tags: ["t".into()].into(),
        },
        sequence: 3,
    }
}

/// An answer that was of use.
fn answer(key: &[u8], body: &[u8]) -> Arc<Entry> {
    used(Entry::new(key, fresh(body)))
}

fn used(entry: Entry) -> Arc<Entry> {
    entry.add_hits(1);
    Arc::new(entry)
}

/// The answer to a request that says `en` or the like.
fn variant(variants: &Arc<Variants>, language: &'static str, body: &[u8]) -> Arc<Entry> {
    let vary = Vary { names: variants.names.to_vec() };
    let mut answer = fresh(body);
    answer.terms.vary = vary;
    let key = variants.key_of(&says(language)).unwrap();
    let entry = Entry::new(&key, answer);
    entry.join(variants);
    used(entry)
}

fn says(language: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("x-lang"), HeaderValue::from_static(language))])
}

fn variants(key: &[u8]) -> Arc<Variants> {
    Arc::new(Variants::new(key, &[HeaderName::from_static("x-lang")], 0, rand::random()))
}

#[test]
fn what_is_written_comes_back() {
    let mut rig = Rig::new(1 << 24);
    let entry = answer(b"k", b"body");
    rig.write(&[entry.clone(), answer(b"empty", b"")]);
    for _ in 0..2 {
        let found = rig.find(b"k").unwrap();
        assert_eq!((&found.key, found.status, &found.head), (&entry.key, entry.status, &entry.head));
        assert_eq!((&found.body, &found.headers), (&entry.body, &entry.headers));
        assert_eq!(found.stored_s, entry.stored_s);
        assert_eq!(format!("{:?}", found.origin), format!("{:?}", entry.origin));
        assert_eq!(found.survived(), 3);
        let terms = Terms { age_s: found.terms.age_s, ..entry.terms.clone() };
        assert_eq!(found.terms, terms);
        assert_eq!(rig.find(b"empty").unwrap().body.len(), 0);
        assert!(rig.find(b"other").is_none());
        rig.kill();
        rig.open(NOW_MS);
    }
    assert_eq!(rig.counter("damaged"), 0);
    assert_eq!(rig.counter("hits"), 0);
    rig.find(b"k").unwrap();
    assert_eq!(rig.counter("hits"), 1);
}

#[test]
fn age_goes_on_while_nobody_runs() {
    for (later_ms, expect) in [(0, Some(20)), (999, Some(20)), (60_400, Some(80)), (3_600_000, Some(3_620))] {
        let mut rig = Rig::new(1 << 24);
        rig.write(&[answer(b"k", b"body")]);
        rig.close(&[]);
        rig.open(NOW_MS + later_ms);
        let now_ns = rig.disk().shared.clock.now_ns();
        let age = rig.find(b"k").map(|found| found.age_s(now_ns));
        // The test takes time too.
        let is_right = age.zip(expect).is_some_and(|(age, expect)| (expect..=expect + 2).contains(&age));
        assert!(is_right, "{later_ms} ms later: {age:?}, not {expect:?}");
    }
}

#[test]
fn a_clock_that_was_set_back_costs_what_is_there() {
    let mut rig = Rig::new(1 << 24);
    rig.write(&[answer(b"k", b"body")]);
    rig.close(&[]);
    rig.open(NOW_MS - 60_000);
    assert!(rig.find(b"k").is_none());
    assert!(rig.files().is_empty());
    // Within the slack of clocks nothing comes from the future either.
    let mut ahead = fresh(b"body");
    ahead.stored_ns += 900_000_000_000;
    rig.write(&[used(Entry::new(b"ahead", ahead))]);
    assert!(rig.find(b"ahead").is_none());
}

#[test]
fn only_what_is_worth_it_is_written() {
    let rig = Rig::new(1 << 24);
    let tier = rig.tier();
    let unused = Arc::new(Entry::new(b"unused", fresh(b"")));
    let mut short = fresh(b"");
    short.terms.lifetime_s = 45;
    let gone = answer(b"gone", b"");
    gone.let_go();
    let lost = variants(b"lost");
    let variant = variant(&lost, "en", b"");
    lost.let_go();
    for entry in [&unused, &used(Entry::new(b"short", short)), &gone, &variant] {
        tier.offer(entry);
    }
    rig.settled();
    assert_eq!((rig.files().len(), rig.disk().shared.index.len()), (0, 0));
}

#[test]
fn the_newest_counts_and_nothing_invalid_comes_back() {
    let mut rig = Rig::new(1 << 24);
    rig.write(&[answer(b"old", b"1"), answer(b"gone", b"1"), answer(b"back", b"1")]);
    let tier = rig.tier();
    [b"old".as_slice(), b"gone", b"back", b"never"].into_iter().for_each(|key| tier.forget_key(key));
    assert!(rig.find(b"old").is_none());
    rig.write(&[answer(b"old", b"2")]);
    drop(tier);
    rig.kill();
    // While it is not known yet what is there, something may become invalid too.
    rig.begin(NOW_MS + 5_000);
    rig.tier().forget_key(b"gone");
    eventually("all is known", || rig.disk().shared.index.is_whole());
    for _ in 0..2 {
        assert_eq!(rig.find(b"old").unwrap().body, "2");
        assert!(rig.find(b"gone").is_none() && rig.find(b"back").is_none());
        rig.kill();
        rig.open(NOW_MS + 10_000);
    }
}

#[test]
fn what_becomes_invalid_while_it_waits_is_not_written() {
    let rig = Rig::new(1 << 24);
    let shared = &rig.disk().shared;
    let entry = answer(b"k", b"1");
    let writing = rig.tier().writing(&entry, shared.clock.now_ns()).unwrap();
    shared.index.wait(writing.name, writing.scope, writing.token);
    rig.tier().forget_key(b"k");
    shared.waiting_bytes.fetch_add(entry.weight(), Relaxed);
    rig.disk().writer.send(Job::Write(writing)).unwrap();
    rig.settled();
    assert!(rig.find(b"k").is_none());
}

/// The body for a language, and the number of the variants where nothing was known of them.
fn said(rig: &Rig, known: Option<&Arc<Variants>>, language: &'static str) -> (Option<Bytes>, Option<u64>) {
    let Some(found) = rig.find_with(b"k", known.cloned(), &says(language)) else { return (None, None) };
    (found.entry.map(|entry| entry.body.clone()), found.variants.map(|variants| variants.birth))
}

#[test]
fn variants_are_found_after_a_restart() {
    let mut rig = Rig::new(1 << 24);
    let known = variants(b"k");
    rig.write(&[variant(&known, "en", b"hello"), variant(&known, "de", b"hallo")]);
    for _ in 0..2 {
        for (language, expect) in [("en", Some("hello")), ("de", Some("hallo")), ("fr", None)] {
            let expect = expect.map(Bytes::from);
            assert_eq!(said(&rig, Some(&known), language), (expect.clone(), None), "{language}");
            assert_eq!(said(&rig, None, language), (expect, Some(known.birth)), "{language}");
        }
        rig.close(&[]);
        rig.open(NOW_MS + 10_000);
    }
    // All of them become invalid together, and stay so.
    rig.tier().forget_key(b"k");
    assert_eq!(said(&rig, None, "en"), (None, None));
    let again = variants(b"k");
    rig.write(&[variant(&again, "fr", b"salut")]);
    for _ in 0..2 {
        assert_eq!(said(&rig, None, "en"), (None, Some(again.birth)));
        assert_eq!(said(&rig, Some(&again), "en"), (None, None));
        assert_eq!(said(&rig, None, "fr"), (Some("salut".into()), Some(again.birth)));
        rig.kill();
        rig.open(NOW_MS + 20_000);
    }
}

#[test]
fn one_variant_may_go_alone() {
    let rig = Rig::new(1 << 24);
    let known = variants(b"k");
    let (en, de) = (variant(&known, "en", b"hello"), variant(&known, "de", b"hallo"));
    rig.write(&[de, en.clone()]);
    rig.tier().forget(&Kept::Answer(en));
    assert_eq!(said(&rig, None, "en"), (None, Some(known.birth)));
    assert_eq!(said(&rig, None, "de"), (Some("hallo".into()), Some(known.birth)));
    // Variants that are replaced as a whole are not written any more.
    known.let_go();
    rig.tier().forget(&Kept::Variants(Arc::clone(&known)));
    rig.tier().offer(&variant(&known, "fr", b"salut"));
    rig.settled();
    assert_eq!(said(&rig, None, "fr"), (None, None));
}

#[test]
fn an_answer_that_was_replaced_on_its_way_does_not_hold() {
    let rig = Rig::new(1 << 24);
    let known = variants(b"v");
    rig.write(&[answer(b"k", b"1"), variant(&known, "en", b"1")]);
    for (key, headers) in [(b"k", HeaderMap::new()), (b"v", says("en"))] {
        let found = rig.find_with(key, None, &headers).unwrap();
        assert!(rig.tier().holds(&found));
        rig.tier().forget_key(key);
        assert!(!rig.tier().holds(&found));
        assert!(rig.find_with(key, None, &headers).is_none());
    }
}

#[test]
fn bytes_and_names_are_bounded() {
    const BYTES: u64 = 256 * 1024;
    let mut rig = Rig::new(BYTES);
    let body = vec![b'x'; 5_000];
    let key = |nth: u32| nth.to_le_bytes();
    for nth in 0..200 {
        rig.write(&[answer(&key(nth), &body)]);
        let sum: u64 = rig.files().iter().map(|(_, bytes)| bytes.len() as u64).sum();
        assert!(sum <= BYTES, "{sum} bytes after {nth}");
    }
    let found: Vec<u32> = (0..200).filter(|nth| rig.find(&key(*nth)).is_some()).collect();
    assert!(found.len() > 30 && found.windows(2).all(|two| two[1] == two[0] + 1), "{found:?}");
    assert_eq!(found.last(), Some(&199));
    assert_eq!(rig.disk().shared.index.len(), found.len());
    // What is larger than a part is not written.
    rig.write(&[answer(b"large", &vec![0; 40 * 1024])]);
    assert_eq!((rig.find(b"large").is_none(), rig.counter("dropped")), (true, 1));
    // With less room the oldest go at the start.
    rig.close(&[]);
    rig.options.bytes_max = BYTES / 2;
    rig.open(NOW_MS + 10_000);
    assert!(rig.disk().shared.shelf.bytes() <= BYTES / 2);
    assert!(rig.find(&key(199)).is_some() && rig.find(&key(found[0])).is_none());
}

#[test]
fn what_is_known_in_memory_is_bounded() {
    let mut rig = Rig::new(64 * 1024);
    rig.close(&[]);
    rig.records_max = 20;
    rig.open(NOW_MS);
    for nth in 0..100_u32 {
        rig.write(&[answer(&nth.to_le_bytes(), &[0; 1_000])]);
        assert!(rig.disk().shared.index.len() <= 21, "after {nth}");
    }
    assert!(rig.find(&99_u32.to_le_bytes()).is_some());
    rig.close(&[]);
    rig.records_max = 5;
    rig.open(NOW_MS + 10_000);
    let known = rig.disk().shared.index.len();
    assert!((5..12).contains(&known), "{known}: as many as fit, to the end of a file");
    assert!(rig.find(&99_u32.to_le_bytes()).is_some() && rig.find(&84_u32.to_le_bytes()).is_none());
}

#[test]
fn a_disk_that_fails_costs_answers() {
    let rig = Rig::new(256 * 1024);
    rig.write(&[answer(b"k", &[0; 20_000])]);
    fs::remove_dir_all(&rig.options.folder).unwrap();
    // There is no room in the file that is open, and another one cannot be made.
    rig.write(&[answer(b"l", &[0; 20_000])]);
    assert_eq!((rig.counter("dropped"), rig.find(b"l").is_some()), (1, false));
    assert!(rig.find(b"k").is_some());
    // What cannot be marked must not be there.
    rig.write(&[answer(b"m", b"")]);
    rig.tier().forget_key(b"k");
    eventually("all is dropped", || rig.disk().shared.shelf.oldest().is_none());
    assert_eq!(rig.disk().shared.index.len(), 0);
}

#[test]
fn nobody_waits_for_a_disk_that_is_late() {
    let mut rig = Rig::new(1 << 24);
    rig.write(&[answer(b"k", b"1")]);
    rig.kill();
    rig.options.read_timeout_ms = 20;
    rig.open(NOW_MS + 10_000);
    // Nobody takes what these readers are asked.
    let (reader, asked) = sync_channel(8);
    let Disk { shared, writer, .. } = &**rig.disk();
    let (shared, writer) = (Arc::clone(shared), writer.clone());
    rig.disk = Some(Arc::new(Disk { shared, writer, readers: vec![reader] }));
    assert!(rig.find(b"k").is_none());
    assert_eq!((rig.counter("late"), rig.counter("hits"), asked.try_iter().count()), (1, 0, 1));
}

#[test]
fn a_queue_that_is_full_costs_answers() {
    let rig = Rig::new(1 << 30);
    let body = vec![0; 1 << 20];
    let tier = rig.tier();
    let offered = 200;
    // Far more than may wait, faster than any disk.
    let answers: Vec<_> = (0..offered as u32).map(|nth| answer(&nth.to_le_bytes(), &body)).collect();
    let shared = Arc::clone(&rig.disk().shared);
    shared.waiting_bytes.fetch_add(tidegate_proto::limits::CACHE_DISK_WRITE_BYTES_MAX, Relaxed);
    answers.iter().take(3).for_each(|entry| tier.offer(entry));
    assert_eq!((rig.counter("dropped"), shared.index.len()), (3, 0));
    shared.waiting_bytes.store(0, Relaxed);
    answers.iter().for_each(|entry| tier.offer(entry));
    rig.settled();
    let dropped = rig.counter("dropped") as usize - 3;
    assert_eq!(shared.index.len() + dropped, offered, "an answer is written or counted");
}

#[test]
fn stages_that_are_no_more_leave() {
    let rig = Rig::new(1 << 24);
    let other = rig.disk().tier(b"other");
    rig.write(&[answer(b"k", b"1")]);
    other.offer(&answer(b"o", b"1"));
    rig.disk().wake();
    eventually("it is written", || {
        rig.disk().shared.index.location(rig.disk().shared.keys.name(b"o")).is_some()
    });
    rig.disk().keep_scopes(std::iter::once(SCOPE));
    eventually("it is let go", || rig.disk().shared.index.len() == 1);
    assert!(rig.find(b"k").is_some() && rig.find(b"o").is_none());
}

#[test]
fn the_last_words_of_a_process_are_the_most_wanted_answers() {
    let mut rig = Rig::new(256 * 1024);
    let entries: Vec<_> = (0..40_u32).map(|nth| answer(&nth.to_le_bytes(), &[0; 10_000])).collect();
    for (nth, entry) in entries.iter().enumerate() {
        entry.add_hits(nth as u64);
    }
    rig.close(&entries.iter().collect::<Vec<_>>());
    rig.open(NOW_MS + 10_000);
    let found: Vec<_> = (0..40_u32).filter(|nth| rig.find(&nth.to_le_bytes()).is_some()).collect();
    assert!(found.len() >= 15 && found.iter().all(|nth| *nth as usize >= 40 - found.len()), "{found:?}");
}

#[test]
fn nothing_on_disk_can_be_read_without_the_key() {
    let mut rig = Rig::new(1 << 24);
    rig.write(&[answer(b"the key of it", &b"the plain body".repeat(50))]);
    rig.close(&[]);
    let files = rig.files();
    assert!(!files.is_empty());
    for (path, bytes) in files {
        for secret in ["plain", "key of", "etag", "/p/1"] {
            let is_there = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!is_there, "{secret} is in {}", path.display());
        }
    }
    rig.options.key = [8; 32];
    rig.open(NOW_MS + 10_000);
    assert!(rig.find(b"the key of it").is_none() && rig.files().is_empty());
}

#[test]
fn a_machine_that_lost_power_begins_anew() {
    for (state, expect) in [("closed", true), ("boot another", false), ("", false)] {
        let mut rig = Rig::new(1 << 24);
        rig.write(&[answer(b"k", b"1")]);
        rig.close(&[]);
        assert_eq!(fs::read_to_string(rig.options.folder.join("state")).unwrap(), "closed");
        fs::write(rig.options.folder.join("state"), state).unwrap();
        rig.open(NOW_MS + 10_000);
        assert_eq!(rig.find(b"k").is_some(), expect, "{state}");
    }
}
