//! Checkpoints of machines: plain files `checkpoint-<group>-<index>`, head record then data, both checksummed. A file is
//! durable under its final name before anyone is told, because the log below it is deleted afterwards.

#[cfg(feature = "sim")]
pub(crate) mod memory;

use super::damage;
use crate::{
    GroupId, limits,
    wire::{record, v1::CheckpointV1},
};
use bytes::Bytes;
use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A place for checkpoints. Blocking.
pub(crate) trait CheckpointStore: Send + Sync + 'static {
    /// Stores a checkpoint durably.
    fn save(&self, group: GroupId, head: &CheckpointV1, data: &[u8]) -> io::Result<()>;
    /// Reads the newest good checkpoint; it is an error when there are some and none is good.
    fn load(&self, group: GroupId) -> io::Result<Option<(CheckpointV1, Bytes)>>;
}

/// Checkpoints in a directory.
pub(crate) struct CheckpointFiles {
    dir: PathBuf,
}

impl CheckpointFiles {
    /// Uses `dir`, which is created.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }

    fn prefix(group: GroupId) -> String {
        format!("checkpoint-{group}-")
    }

    /// Files of a group, newest first.
    fn files(&self, group: GroupId) -> io::Result<Vec<PathBuf>> {
        let prefix = Self::prefix(group);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.strip_prefix(&prefix).is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit())) {
                names.push(name);
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names.into_iter().map(|name| self.dir.join(name)).collect())
    }
}

impl CheckpointStore for CheckpointFiles {
    fn save(&self, group: GroupId, head: &CheckpointV1, data: &[u8]) -> io::Result<()> {
        let index = head.last.as_ref().map_or(0, |last| last.index);
        let path = self.dir.join(format!("{}{index:020}", Self::prefix(group)));
        write_durably(&path, &[&record::encode(head), data])?;
        for old in self.files(group)?.into_iter().skip(limits::CHECKPOINTS_KEPT) {
            std::fs::remove_file(old)?;
        }
        Ok(())
    }

    fn load(&self, group: GroupId) -> io::Result<Option<(CheckpointV1, Bytes)>> {
        newest_good(self.files(group)?.into_iter().map(|path| (path.display().to_string(), read(&path))))
    }
}

/// The first of these, from the newest to the oldest, that is good.
fn newest_good(
    found: impl Iterator<Item = (String, io::Result<(CheckpointV1, Bytes)>)>,
) -> io::Result<Option<(CheckpointV1, Bytes)>> {
    let mut first_error = None;
    for (path, checkpoint) in found {
        match checkpoint {
            Ok(checkpoint) => return Ok(Some(checkpoint)),
            Err(error) => {
                damage::note();
                tracing::error!(path, %error, "a checkpoint cannot be read; trying the one before");
                first_error.get_or_insert(io::Error::new(error.kind(), format!("{path}: {error}")));
            }
        }
    }
    first_error.map_or(Ok(None), Err)
}

/// Writes a file so that after a power cut either the old or the whole new content is there.
pub(crate) fn write_durably(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = dir.join(name);
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(dir)?.sync_all()
}

/// Reads and checks one checkpoint file.
pub(crate) fn read(path: &Path) -> io::Result<(CheckpointV1, Bytes)> {
    if std::fs::metadata(path)?.len() > limits::CHECKPOINT_BYTES_MAX + (1 << 20) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is over the size limit"));
    }
    parse(&Bytes::from(std::fs::read(path)?))
}

/// Checks the content of a checkpoint file.
fn parse(bytes: &Bytes) -> io::Result<(CheckpointV1, Bytes)> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let (head, head_bytes) =
        record::decode_prefix::<CheckpointV1>(bytes).map_err(|e| invalid(e.to_string()))?;
    let data = bytes.slice(head_bytes..);
    if data.len() as u64 != head.bytes || crc32c::crc32c(&data) != head.crc {
        return Err(invalid("the data does not match its checksum".to_owned()));
    }
    Ok((head, data))
}
