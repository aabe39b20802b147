//! A disk that can fail: a file system over a directory, mounted where a node keeps its data. It can be slow, stall, refuse, be full,
//! lose power with everything that was not fsynced, and change bits. Needs root and `/dev/fuse`.

mod faults;
mod files;
mod system;
mod unsynced;

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use fuser::{BackgroundSession, Config, MountOption};
use rand::{Rng, rngs::StdRng};

pub(crate) use faults::Ailment;

use crate::{lab::site::Site, limits::DISK_THREADS};
use faults::Faults;
use files::Files;

/// A mounted disk; unmounted when dropped.
pub(crate) struct Disk {
    site: Site,
    backing: PathBuf,
    faults: Arc<Faults>,
    files: Arc<Files>,
    _session: BackgroundSession,
}

impl Disk {
    /// Mounts a healthy disk over `backing` at `place`; both are made.
    ///
    /// # Errors
    /// Without root, or without `/dev/fuse`.
    pub(crate) fn mount(site: Site, backing: &Path, place: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(backing)?;
        std::fs::create_dir_all(place)?;
        let (faults, files) = (Arc::new(Faults::default()), Arc::new(Files::new(backing.to_owned())));
        let system = system::FaultySystem::new(faults.clone(), files.clone());
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("tidegate-storm".into())];
        config.n_threads = Some(DISK_THREADS);
        let session = fuser::spawn_mount(system, place, &config)?;
        Ok(Self { site, backing: backing.to_owned(), faults, files, _session: session })
    }

    /// Whose it is.
    pub(crate) fn site(&self) -> Site {
        self.site
    }

    /// Sets what is wrong with it.
    pub(crate) fn ail(&self, ailment: Ailment) {
        self.faults.set(ailment);
    }

    /// Nothing is wrong with it any more; what is lost stays lost.
    pub(crate) fn heal(&self) {
        self.faults.set(Ailment::default());
    }

    /// Undoes every write that was not made durable, and tears the last one where asked to; nobody may use the disk meanwhile. Says
    /// how many writes are gone.
    pub(crate) fn cut_power(&self, tear: bool, random: &mut StdRng) -> usize {
        self.files.cut_power(tear.then_some(random))
    }

    /// Flips bits in files, most often in the largest; nobody may use the disk meanwhile. Says in which.
    ///
    /// # Errors
    /// The files cannot be read or written.
    pub(crate) fn flip_bits(&self, count: u32, random: &mut StdRng) -> io::Result<Vec<String>> {
        let mut files = Vec::new();
        collect(&self.backing, &mut files)?;
        let total: u64 = files.iter().map(|(_, length)| *length).sum();
        let mut touched = Vec::new();
        for _ in 0..count {
            let mut at = random.random_range(0..total.max(1));
            let Some((path, offset)) = files.iter().find_map(|(path, length)| match at < *length {
                true => Some((path, at)),
                false => {
                    at -= length;
                    None
                }
            }) else {
                continue;
            };
            let file = File::options().read(true).write(true).open(path)?;
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset)?;
            file.write_all_at(&[byte[0] ^ (1 << random.random_range(0..8))], offset)?;
            let name = path.strip_prefix(&self.backing).unwrap_or(path);
            touched.push(format!("{} at {offset}", name.display()));
        }
        Ok(touched)
    }
}

/// All files that may be damaged, with their lengths. A node's identity is left alone: without it a node is another node.
fn collect(folder: &Path, files: &mut Vec<(PathBuf, u64)>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, metadata) = (entry.path(), entry.metadata()?);
        match metadata.is_dir() {
            true if entry.file_name() == "identity" => {}
            true => collect(&path, files)?,
            false => files.push((path, metadata.len())),
        }
    }
    files.sort();
    Ok(())
}

#[cfg(test)]
mod tests;
