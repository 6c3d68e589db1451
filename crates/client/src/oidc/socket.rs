//! A socket that no variable names, and whether it may be anybody's.
//!
//! SPIRE puts its own below `/tmp`, where anybody may. Who listens there says who we are, so that it
//! counts only where nobody but root and we ourselves can have put it.

use std::path::{Path, PathBuf};

/// What to do where the socket is that of the agent all the same.
pub(super) const REMEDY: &str =
    "if it is the agent's, name it in SPIFFE_ENDPOINT_SOCKET (`unix:///PATH`)";

/// A socket that is where an agent's would be, and is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not asked, because {} {reason}", socket.display(), path.display())]
pub struct PassedOver {
    /// The socket.
    pub socket: PathBuf,
    /// The folder that is open to others, or the socket itself.
    pub path: PathBuf,
    /// Why it may be anybody's.
    pub reason: Unsafe,
}

/// Why a file may be anybody's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// It is another user's.
    #[error("belongs to user {owner}, neither to root nor to you")]
    Owner {
        /// The user.
        owner: u32,
    },
    /// Others may put something else in its place.
    #[error("can be written to by others")]
    Writable,
    /// It leads elsewhere.
    #[error("is a symbolic link")]
    Link,
    /// A file or a folder.
    #[error("is no socket")]
    NoSocket,
    /// Nobody knows whose it is.
    #[error("cannot be looked at: {reason}")]
    Unseen {
        /// What the operating system says.
        reason: String,
    },
}

/// Whether the socket is there. It and each folder that leads to it have to belong to root or to us,
/// and others must not be able to replace them: folders that they may write to are those, like `/tmp`,
/// where nobody may rename or remove what is another's (`unlink(2)`, sticky bit).
#[cfg(unix)]
pub(super) fn is_safely_there(socket: &Path) -> Result<bool, PassedOver> {
    use std::io::ErrorKind;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    const STICKY: u32 = 0o1000;
    const OTHERS_WRITE: u32 = 0o022;
    let ours = rustix::process::geteuid().as_raw();
    let mut paths: Vec<_> = socket.ancestors().collect();
    paths.reverse();
    for path in paths {
        let passed_over =
            |reason| PassedOver { socket: socket.to_owned(), path: path.to_owned(), reason };
        let found = match path.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => {
                return Err(passed_over(Unsafe::Unseen { reason: error.to_string() }));
            }
        };
        let kind = found.file_type();
        let problem = match found.uid() {
            owner if owner != 0 && owner != ours => Some(Unsafe::Owner { owner }),
            _ if kind.is_symlink() => Some(Unsafe::Link),
            _ if path == socket => (!kind.is_socket()).then_some(Unsafe::NoSocket),
            // Everybody may speak to an agent; who may write to a folder is another matter.
            _ => (found.mode() & OTHERS_WRITE != 0 && found.mode() & STICKY == 0)
                .then_some(Unsafe::Writable),
        };
        if let Some(problem) = problem {
            return Err(passed_over(problem));
        }
    }
    Ok(true)
}

/// There are no such sockets.
#[cfg(not(unix))]
pub(super) fn is_safely_there(_socket: &Path) -> Result<bool, PassedOver> {
    Ok(false)
}
