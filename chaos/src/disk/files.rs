//! The files behind a faulty disk: numbers for paths, open files, and what of each is not durable yet.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rand::rngs::StdRng;

use super::unsynced::Unsynced;

/// Number of the root folder.
const ROOT: u64 = 1;

/// All files of a disk.
pub(super) struct Files(Mutex<Shelf>);

/// What is known of the files.
pub(super) struct Shelf {
    paths: HashMap<u64, PathBuf>,
    numbers: HashMap<PathBuf, u64>,
    open: HashMap<u64, (u64, Arc<File>)>,
    unsynced: HashMap<u64, Unsynced>,
    last: u64,
}

impl Files {
    pub(super) fn new(backing: PathBuf) -> Self {
        let (paths, numbers) = (HashMap::from([(ROOT, backing.clone())]), HashMap::from([(backing, ROOT)]));
        Self(Mutex::new(Shelf { paths, numbers, open: HashMap::new(), unsynced: HashMap::new(), last: ROOT }))
    }

    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Undoes what is not durable, in every file; says how many writes that were.
    pub(super) fn cut_power(&self, mut tear: Option<&mut StdRng>) -> usize {
        let mut shelf = self.shelf();
        let shelf = &mut *shelf;
        let mut numbers: Vec<u64> = shelf.unsynced.keys().copied().collect();
        numbers.sort_unstable();
        let undo = |number: u64| {
            let path = shelf.paths.get(&number)?;
            shelf.unsynced.get_mut(&number)?.undo(path, tear.as_deref_mut()).ok()
        };
        numbers.into_iter().filter_map(undo).sum()
    }
}

impl Shelf {
    /// Path of a number.
    pub(super) fn path(&self, number: u64) -> io::Result<PathBuf> {
        self.paths.get(&number).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Path of a name in a folder.
    pub(super) fn child(&self, folder: u64, name: &OsStr) -> io::Result<PathBuf> {
        Ok(self.path(folder)?.join(name))
    }

    /// Number of a path, a new one where it has none.
    pub(super) fn number(&mut self, path: &Path) -> u64 {
        if let Some(number) = self.numbers.get(path) {
            return *number;
        }
        self.last += 1;
        self.numbers.insert(path.to_owned(), self.last);
        self.paths.insert(self.last, path.to_owned());
        self.last
    }

    /// Remembers an open file under a handle.
    pub(super) fn opened(&mut self, number: u64, file: File) -> u64 {
        self.last += 1;
        self.open.insert(self.last, (number, Arc::new(file)));
        self.last
    }

    /// The number and the open file of a handle.
    pub(super) fn file(&self, handle: u64) -> io::Result<(u64, Arc<File>)> {
        self.open.get(&handle).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Forgets a handle.
    pub(super) fn close(&mut self, handle: u64) {
        self.open.remove(&handle);
    }

    /// What of a file is not durable.
    pub(super) fn unsynced(&mut self, number: u64) -> &mut Unsynced {
        self.unsynced.entry(number).or_default()
    }

    /// A path is gone.
    pub(super) fn removed(&mut self, path: &Path) {
        if let Some(number) = self.numbers.remove(path) {
            self.paths.remove(&number);
            self.unsynced.remove(&number);
        }
    }

    /// A path, and everything below it, has another name.
    pub(super) fn renamed(&mut self, from: &Path, to: &Path) {
        self.removed(to);
        let moved: Vec<(PathBuf, u64)> = self
            .numbers
            .iter()
            .filter(|(path, _)| path.starts_with(from))
            .map(|(path, number)| (path.clone(), *number))
            .collect();
        for (path, number) in moved {
            self.numbers.remove(&path);
            let rest = path.strip_prefix(from).unwrap_or(Path::new(""));
            let target = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            self.paths.insert(number, target.clone());
            self.numbers.insert(target, number);
        }
    }
}
