//! The faulty disk as a program sees it. Without the right to mount there is nothing to try.

use std::{io::Write, time::Instant};

use rand::SeedableRng;

use super::*;

/// A disk for a test, and the folder it is in; `None` without root or `/dev/fuse`.
fn disk() -> Option<(Disk, tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("place");
    match Disk::mount(Site::Observer, &folder.path().join("backing"), &place) {
        Ok(disk) => Some((disk, folder, place)),
        Err(error) if rustix::process::geteuid().is_root() && Path::new("/dev/fuse").exists() => {
            panic!("root, and yet: {error}")
        }
        Err(_) => None,
    }
}

fn written(path: &Path, bytes: &[u8]) -> File {
    let mut file = File::options().create(true).read(true).append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn a_healthy_disk_is_a_disk() {
    let Some((_disk, _folder, place)) = disk() else { return };
    std::fs::create_dir_all(place.join("a/b")).unwrap();
    written(&place.join("a/b/c"), b"one").sync_all().unwrap();
    std::fs::rename(place.join("a/b"), place.join("a/d")).unwrap();
    written(&place.join("a/d/c"), b" two").sync_data().unwrap();
    assert_eq!(std::fs::read(place.join("a/d/c")).unwrap(), b"one two");
    let large = vec![7; 3_000_000];
    written(&place.join("large"), &large).sync_all().unwrap();
    assert_eq!(std::fs::read(place.join("large")).unwrap(), large);
    std::fs::remove_file(place.join("large")).unwrap();
    let names: Vec<_> = std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn what_was_not_made_durable_is_gone_after_a_power_cut() {
    let Some((disk, _folder, place)) = disk() else { return };
    let path = place.join("log");
    written(&path, b"durable").sync_all().unwrap();
    drop(written(&path, b" and not"));
    assert_eq!(disk.cut_power(false, &mut StdRng::seed_from_u64(1)), 1);
    assert_eq!(std::fs::read(&path).unwrap(), b"durable");
}

#[test]
fn ailments_show_and_pass() {
    let Some((disk, _folder, place)) = disk() else { return };
    let mut file = written(&place.join("file"), b"x");
    let code = |outcome: io::Result<()>| outcome.err().and_then(|error| error.raw_os_error());
    disk.ail(Ailment { is_full: true, ..Ailment::default() });
    assert_eq!(code(file.write_all(b"y")), Some(libc::ENOSPC));
    disk.ail(Ailment { is_broken: true, ..Ailment::default() });
    assert_eq!(code(file.sync_all()), Some(libc::EIO));
    let delay = std::time::Duration::from_millis(120);
    disk.ail(Ailment { sync_delay: delay, ..Ailment::default() });
    let begin = Instant::now();
    assert!(file.sync_all().is_ok() && begin.elapsed() >= delay);
    disk.ail(Ailment { is_stalled: true, ..Ailment::default() });
    let (sender, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(file.write_all(b"z").is_ok()));
    assert!(done.recv_timeout(delay).is_err());
    disk.heal();
    assert_eq!(done.recv_timeout(delay * 20), Ok(true));
}

#[test]
fn flipped_bits_are_where_it_says() {
    let Some((disk, folder, place)) = disk() else { return };
    written(&place.join("file"), &[0; 10_000]).sync_all().unwrap();
    let told = disk.flip_bits(3, &mut StdRng::seed_from_u64(5)).unwrap();
    let content = std::fs::read(folder.path().join("backing/file")).unwrap();
    let ones: u32 = content.iter().map(|byte| byte.count_ones()).sum();
    assert_eq!((told.len(), ones), (3, 3), "{told:?}");
}
