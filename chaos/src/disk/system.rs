//! The file system of a faulty disk: every call goes on to the backing directory, unless the disk's ailment says otherwise.

use std::{
    ffi::OsStr,
    fs::{File, Metadata},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::{faults::Faults, files::Files};
use crate::limits::DISK_TTL;

/// What a caller is told of its room, in blocks of 4 KiB.
const BLOCKS: u64 = 1 << 24;

/// Answers the kernel.
pub(super) struct FaultySystem {
    faults: Arc<Faults>,
    files: Arc<Files>,
}

/// Answers with what a call came to.
macro_rules! answer {
    ($reply:expr, $outcome:expr, $value:ident => $good:expr) => {
        match $outcome {
            Ok($value) => $good,
            Err(error) => $reply.error(error),
        }
    };
}

impl FaultySystem {
    pub(super) fn new(faults: Arc<Faults>, files: Arc<Files>) -> Self {
        Self { faults, files }
    }

    fn attributes(&self, path: &Path) -> Result<FileAttr, Errno> {
        let metadata = std::fs::symlink_metadata(path).map_err(number)?;
        Ok(attributes(self.files.shelf().number(path), &metadata))
    }

    fn child(&self, parent: INodeNo, name: &OsStr) -> Result<std::path::PathBuf, Errno> {
        self.files.shelf().child(parent.0, name).map_err(number)
    }

    fn path(&self, ino: INodeNo) -> Result<std::path::PathBuf, Errno> {
        self.files.shelf().path(ino.0).map_err(number)
    }

    fn file(&self, handle: FileHandle) -> Result<(u64, Arc<File>), Errno> {
        self.files.shelf().file(handle.0).map_err(number)
    }

    fn write_bytes(&self, handle: FileHandle, offset: u64, data: &[u8]) -> Result<u32, Errno> {
        self.faults.write()?;
        let (own, file) = self.file(handle)?;
        // Under the lock, so that what is noted is what is replaced.
        let mut shelf = self.files.shelf();
        shelf.unsynced(own).note_write(&file, offset, data.len() as u64).map_err(number)?;
        file.write_all_at(data, offset).map_err(number)?;
        Ok(data.len() as u32)
    }

    fn sync(&self, handle: FileHandle) -> Result<(), Errno> {
        let (own, _) = self.file(handle)?;
        let mark = self.files.shelf().unsynced(own).mark();
        self.faults.sync()?;
        self.files.shelf().unsynced(own).settle(mark);
        Ok(())
    }

    fn set_length(&self, ino: INodeNo, length: u64) -> Result<(), Errno> {
        self.faults.write()?;
        let file = File::options().read(true).write(true).open(self.path(ino)?).map_err(number)?;
        let mut shelf = self.files.shelf();
        shelf.unsynced(ino.0).note_length(&file, length).map_err(number)?;
        file.set_len(length).map_err(number)
    }

    fn open_path(&self, ino: INodeNo, flags: OpenFlags) -> Result<u64, Errno> {
        self.faults.pass();
        let path = self.path(ino)?;
        let writes = flags.0 & libc::O_ACCMODE != libc::O_RDONLY;
        if flags.0 & libc::O_TRUNC != 0 {
            self.set_length(ino, 0)?;
        }
        // Written files are read as well, for what their writes replace.
        let file = File::options().read(true).write(writes).open(&path).map_err(number)?;
        Ok(self.files.shelf().opened(ino.0, file))
    }

    fn create_path(&self, parent: INodeNo, name: &OsStr, mode: u32) -> Result<(FileAttr, u64), Errno> {
        self.faults.write()?;
        let path = self.child(parent, name)?;
        let file = File::options().read(true).write(true).create(true).truncate(false).mode(mode).open(&path);
        let file = file.map_err(number)?;
        let attributes = self.attributes(&path)?;
        let handle = self.files.shelf().opened(attributes.ino.0, file);
        Ok((attributes, handle))
    }

    fn remove(
        &self,
        parent: INodeNo,
        name: &OsStr,
        remove: fn(&Path) -> io::Result<()>,
    ) -> Result<(), Errno> {
        self.faults.pass();
        let path = self.child(parent, name)?;
        remove(&path).map_err(number)?;
        self.files.shelf().removed(&path);
        Ok(())
    }

    fn rename_path(&self, from: (INodeNo, &OsStr), to: (INodeNo, &OsStr)) -> Result<(), Errno> {
        self.faults.write()?;
        let (from, to) = (self.child(from.0, from.1)?, self.child(to.0, to.1)?);
        std::fs::rename(&from, &to).map_err(number)?;
        self.files.shelf().renamed(&from, &to);
        Ok(())
    }

    fn list(&self, ino: INodeNo) -> Result<Vec<(u64, FileType, std::ffi::OsString)>, Errno> {
        self.faults.pass();
        let folder = self.path(ino)?;
        let mut entries =
            vec![(ino.0, FileType::Directory, ".".into()), (ino.0, FileType::Directory, "..".into())];
        for entry in std::fs::read_dir(&folder).map_err(number)? {
            let entry = entry.map_err(number)?;
            let kind = entry.file_type().ok().and_then(FileType::from_std).unwrap_or(FileType::RegularFile);
            let own = self.files.shelf().number(&entry.path());
            entries.push((own, kind, entry.file_name()));
        }
        entries[2..].sort_by(|one, other| one.2.cmp(&other.2));
        Ok(entries)
    }
}

impl Filesystem for FaultySystem {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.faults.pass();
        let found = self.child(parent, name).and_then(|path| self.attributes(&path));
        answer!(reply, found, found => reply.entry(&DISK_TTL, &found, Generation(0)));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.faults.pass();
        let found = self.path(ino).and_then(|path| self.attributes(&path));
        answer!(reply, found, found => reply.attr(&DISK_TTL, &found));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = || {
            if let Some(length) = size {
                self.set_length(ino, length)?;
            }
            let path = self.path(ino)?;
            if let Some(mode) = mode {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).map_err(number)?;
            }
            self.attributes(&path)
        };
        answer!(reply, set(), found => reply.attr(&DISK_TTL, &found));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let make = || {
            self.faults.write()?;
            let path = self.child(parent, name)?;
            std::fs::DirBuilder::new().mode(mode & !umask).create(&path).map_err(number)?;
            self.attributes(&path)
        };
        answer!(reply, make(), found => reply.entry(&DISK_TTL, &found, Generation(0)));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.remove(parent, name, |path| std::fs::remove_file(path));
        answer!(reply, removed, done => { let () = done; reply.ok() });
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = self.remove(parent, name, |path| std::fs::remove_dir(path));
        answer!(reply, removed, done => { let () = done; reply.ok() });
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renamed = self.rename_path((parent, name), (newparent, newname));
        answer!(reply, renamed, done => { let () = done; reply.ok() });
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let opened = self.open_path(ino, flags);
        answer!(reply, opened, handle => reply.opened(FileHandle(handle), FopenFlags::empty()));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let created = self.create_path(parent, name, mode & !umask);
        answer!(reply, created, made => {
            reply.created(&DISK_TTL, &made.0, Generation(0), FileHandle(made.1), FopenFlags::empty());
        });
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.faults.pass();
        let mut buffer = vec![0; size as usize];
        let read =
            self.file(handle).and_then(|(_, file)| read_full(&file, &mut buffer, offset).map_err(number));
        answer!(reply, read, length => reply.data(&buffer[..length]));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        answer!(reply, self.write_bytes(handle, offset, data), written => reply.written(written));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.files.shelf().close(handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        answer!(reply, self.sync(handle), done => { let () = done; reply.ok() });
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer!(reply, self.faults.sync(), done => { let () = done; reply.ok() });
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        answer!(reply, self.list(ino), entries => {
            for (place, (own, kind, name)) in entries.into_iter().enumerate().skip(offset as usize) {
                if reply.add(INodeNo(own), place as u64 + 1, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let free = if self.faults.write().is_err() { 0 } else { BLOCKS / 2 };
        reply.statfs(BLOCKS, free, free, BLOCKS, free, 4_096, 255, 4_096);
    }
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], offset + length as u64)? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

fn attributes(ino: u64, metadata: &Metadata) -> FileAttr {
    let time = |seconds: i64| UNIX_EPOCH + std::time::Duration::from_secs(seconds.max(0) as u64);
    FileAttr {
        ino: INodeNo(ino),
        size: metadata.len(),
        blocks: metadata.blocks(),
        atime: time(metadata.atime()),
        mtime: time(metadata.mtime()),
        ctime: time(metadata.ctime()),
        crtime: UNIX_EPOCH,
        kind: FileType::from_std(metadata.file_type()).unwrap_or(FileType::RegularFile),
        perm: (metadata.mode() & 0o7777) as u16,
        nlink: metadata.nlink() as u32,
        uid: metadata.uid(),
        gid: metadata.gid(),
        rdev: 0,
        blksize: 4_096,
        flags: 0,
    }
}

/// The number of an error; of those that the standard library makes itself there is one kind here.
fn number(error: io::Error) -> Errno {
    match (error.raw_os_error(), error.kind()) {
        (Some(number), _) => Errno::from_i32(number),
        (None, io::ErrorKind::NotFound) => Errno::ENOENT,
        (None, _) => Errno::EIO,
    }
}
