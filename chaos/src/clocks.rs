//! Wall clocks of the nodes' own: a library that is loaded before the C library's, and a file per node with the offset.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::lab::site::Site;

/// Environment variable that names the file; the library reads it.
pub(crate) const VARIABLE: &str = "TIDEGATE_CLOCK_OFFSET";
/// File name of the library, beside this program.
const LIBRARY: &str = "libtidegate_chaos_shim.so";

/// The offsets of all nodes.
pub(crate) struct WallClocks {
    folder: PathBuf,
    library: PathBuf,
}

impl WallClocks {
    /// Prepares files in `folder`; `None` when the library is not beside this program.
    pub(crate) fn prepare(folder: &Path) -> Option<Self> {
        let library = std::env::current_exe().ok()?.with_file_name(LIBRARY);
        library.is_file().then(|| Self { folder: folder.to_owned(), library })
    }

    /// What a node's environment needs, for a clock that is right for now.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn variables(&self, site: Site) -> io::Result<[(&'static str, String); 2]> {
        self.set(site, 0)?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        Ok([("LD_PRELOAD", text(&self.library)), (VARIABLE, text(&self.file(site)))])
    }

    /// Sets how wrong a node's clock is, from now on.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn set(&self, site: Site, offset_s: i64) -> io::Result<()> {
        let file = File::options().create(true).truncate(false).write(true).open(self.file(site))?;
        // In place: the library has the file mapped.
        file.write_all_at(&(offset_s * 1_000_000_000).to_ne_bytes(), 0)
    }

    fn file(&self, site: Site) -> PathBuf {
        self.folder.join(format!("{site}.clock"))
    }
}
