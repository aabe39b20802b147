//! Power cuts against the real database: a child process writes under a recorder (`tests/powercut/shim.c`), then the disk
//! is rebuilt as it may look after a cut at acknowledged points, and opened. Proves the wrapper, and that without it
//! acknowledged entries are lost.

use super::SledLog;
use crate::store::{Batch, LogBackend, Slot, index_of, key};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

const ENTRIES: u64 = 400;
const CUTS: usize = 50;
const DIR: &str = "TIDEGATE_POWERCUT_DIR";

/// One recorded step.
struct Step {
    op: u8,
    path: PathBuf,
    at: u64,
    data: Vec<u8>,
}

/// What a disk holds for sure, and what it may hold.
#[derive(Default)]
struct Disk {
    durable: BTreeMap<PathBuf, Vec<u8>>,
    pending: BTreeMap<PathBuf, Vec<(u8, u64, Vec<u8>)>>,
}

#[test]
#[ignore = "runs as a child of the tests below"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let wrapped = std::env::var_os("TIDEGATE_POWERCUT_PLAIN").is_none();
    let log = wrapped.then(|| SledLog::open(Path::new(&dir)).unwrap());
    let plain = (!wrapped).then(|| sled::Config::new().path(&dir).flush_every_ms(None).open().unwrap());
    for index in 1..=ENTRIES {
        let value = content(index);
        let mut batch = Batch::default();
        batch.changes.push((key(Slot::Entry, 1, index), Some(value.clone())));
        if let Some(log) = &log {
            batch.changes.push((key(Slot::Committed, 1, 0), Some(index.to_be_bytes().to_vec())));
            log.commit_now(batch, true).unwrap();
        }
        if let Some(db) = &plain {
            db.insert(key(Slot::Entry, 1, index), value).unwrap();
            db.flush().unwrap();
        }
        println!("ACK {index}");
    }
    std::process::exit(0);
}

#[test]
fn nothing_acknowledged_is_lost() {
    let Some(steps) = record(true) else { return };
    for keep_some in [false, true] {
        let lost = cut(&steps, keep_some);
        assert!(
            lost.is_empty(),
            "keep_some {keep_some}: {} of {CUTS} cuts lost data: {}",
            lost.len(),
            lost[0]
        );
    }
}

#[test]
fn without_the_wrapper_data_is_lost() {
    let Some(steps) = record(false) else { return };
    assert!(!cut(&steps, false).is_empty(), "the test would not notice a missing sync");
}

fn content(index: u64) -> Vec<u8> {
    let length = 50 + usize::try_from(index * 37 % 900).unwrap();
    index.to_be_bytes().iter().copied().cycle().take(length).collect()
}

/// Runs the child under the recorder. `None` where there is no C compiler.
fn record(wrapped: bool) -> Option<Vec<Step>> {
    let scratch = tempfile::tempdir().unwrap();
    let shim = scratch.path().join("shim.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powercut/shim.c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&shim)
        .arg(source)
        .arg("-ldl")
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no C compiler");
        return None;
    }
    let (root, log) = (scratch.path().join("db"), scratch.path().join("trace"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "store::sled::powercut::child", "--ignored", "--nocapture"]);
    command.env(DIR, root.join("log")).env("SHIM_ROOT", &root).env("SHIM_LOG", &log).env("LD_PRELOAD", &shim);
    if !wrapped {
        command.env("TIDEGATE_POWERCUT_PLAIN", "1");
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let steps = parse(&std::fs::read(&log).unwrap(), &root);
    assert_eq!(steps.iter().filter(|step| step.op == b'A').count() as u64, ENTRIES);
    Some(steps)
}

fn parse(mut bytes: &[u8], root: &Path) -> Vec<Step> {
    let mut steps = Vec::new();
    let relative = |path: &[u8]| -> PathBuf {
        let path = PathBuf::from(String::from_utf8(path.to_vec()).unwrap());
        path.strip_prefix(root).map(Path::to_owned).unwrap_or_default()
    };
    while let Some((head, rest)) = bytes.split_first_chunk::<19>() {
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
        let (path, rest) = rest.split_at(usize::from(u16::from_le_bytes([head[1], head[2]])));
        let has_data = matches!(head[0], b'W' | b'N');
        let (data, rest) = rest.split_at(if has_data { usize::try_from(number(11)).unwrap() } else { 0 });
        let data = if head[0] == b'N' {
            relative(data).into_os_string().into_encoded_bytes()
        } else {
            data.to_vec()
        };
        steps.push(Step { op: head[0], path: relative(path), at: number(3), data });
        bytes = rest;
    }
    steps
}

/// Cuts the power at points spread over the run; returns what went wrong.
fn cut(steps: &[Step], keep_some: bool) -> Vec<String> {
    let mut disk = Disk::default();
    let mut dice = 7_u64;
    let mut lost = Vec::new();
    let every = ENTRIES / CUTS as u64;
    for step in steps {
        disk.play(step);
        if step.op == b'A' && step.at % every == 0 {
            let image = tempfile::tempdir().unwrap();
            disk.write_image(image.path(), keep_some, &mut dice);
            if let Err(text) = verify(image.path(), step.at) {
                lost.push(text);
            }
        }
    }
    lost
}

fn verify(dir: &Path, acknowledged: u64) -> Result<(), String> {
    let opened = std::panic::catch_unwind(|| SledLog::open(&dir.join("log")).map_err(|e| e.to_string()));
    let log = opened.map_err(|_| "opening panicked".to_owned())??;
    let mut found = BTreeMap::new();
    let scanned = log.scan(&key(Slot::Entry, 1, 0), &key(Slot::Entry, 1, u64::MAX), &mut |key, value| {
        found.insert(index_of(key), value.to_vec());
        Ok(())
    });
    scanned.map_err(|e| e.to_string())?;
    for index in 1..=acknowledged {
        if found.get(&index) != Some(&content(index)) {
            return Err(format!("entry {index} of {acknowledged} acknowledged ones is gone or damaged"));
        }
    }
    Ok(())
}

impl Disk {
    fn play(&mut self, step: &Step) {
        let path = step.path.clone();
        match step.op {
            b'C' => drop(self.durable.entry(path).or_default()),
            b'T' | b'W' | b'L' => {
                self.durable.entry(path.clone()).or_default();
                self.pending.entry(path).or_default().push((step.op, step.at, step.data.clone()));
            }
            b'S' => {
                for (op, at, data) in self.pending.remove(&path).unwrap_or_default() {
                    apply(self.durable.entry(path.clone()).or_default(), op, at, &data);
                }
            }
            b'N' => {
                let to = PathBuf::from(String::from_utf8(step.data.clone()).unwrap());
                if let Some(content) = self.durable.remove(&path) {
                    self.durable.insert(to.clone(), content);
                }
                if let Some(waiting) = self.pending.remove(&path) {
                    self.pending.insert(to, waiting);
                }
            }
            b'U' => {
                self.durable.remove(&path);
                self.pending.remove(&path);
            }
            _ => {}
        }
    }

    fn write_image(&self, dir: &Path, keep_some: bool, dice: &mut u64) {
        std::fs::create_dir_all(dir.join("log/blobs")).unwrap();
        for (path, content) in &self.durable {
            let mut content = content.clone();
            for (op, at, data) in self.pending.get(path).into_iter().flatten() {
                *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                if keep_some && *dice >> 63 == 1 {
                    apply(&mut content, *op, *at, data);
                }
            }
            if path.as_os_str().is_empty() {
                continue;
            }
            let target = dir.join(path);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::write(target, content).unwrap();
        }
    }
}

fn apply(content: &mut Vec<u8>, op: u8, at: u64, data: &[u8]) {
    let at = usize::try_from(at).unwrap();
    match op {
        b'T' => content.clear(),
        b'L' => content.resize(at, 0),
        _ => {
            if content.len() < at + data.len() {
                content.resize(at + data.len(), 0);
            }
            content[at..at + data.len()].copy_from_slice(data);
        }
    }
}
