//! The private instance: keys, certificates and logs in one directory, opened together.
//!
//! A first start fixes names in `instance.json`, makes everything under them, and then marks the
//! file as finished; until it is, nothing was promised to anybody, and a start goes on making what
//! is missing. The lock file is deliberately elsewhere: an old copy of the directory then meets a
//! newer lock, and is refused.

mod certificate_log;
mod files;
mod floor;
mod keys;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use authority::{CertificateAuthority, IssuingAuthority, TimestampAuthority};
use crypto::Signer;
use evidence::UnixTime;
use serde::{Deserialize, Serialize};
use tlog::storage::StorageError;
use tlog::storage::posix::{LockFile, PosixObjects};
use tlog::{
    CheckpointSigner, Clock, Config, Form, Index, Log, NoteSigner, OpenError, Parts, TreeHeadSigner,
};

pub(crate) use certificate_log::CertificateLog;
pub(crate) use files::TrustFiles;
pub(crate) use floor::TimestampFloor;

use crate::exit::{Exit, Failure};
use crate::machine;
use keys::Keys;

const SETTINGS_FILE: &str = "instance.json";
/// Least time between two batches of the CT log. Shorter than the other logs' own: whoever signs
/// waits for a certificate first, and then for an entry.
const CT_INTERVAL: Duration = Duration::from_millis(40);
/// Version of the directory's layout.
const LAYOUT: u32 = 1;

/// Everything that serves requests stands on this.
pub(crate) struct Instance {
    /// Issues certificates.
    pub(crate) certificates: IssuingAuthority<CertificateLog>,
    /// Issues timestamps.
    pub(crate) timestamps: TimestampAuthority,
    /// The last time stated, below which no later one may fall.
    pub(crate) timestamp_floor: TimestampFloor,
    /// The CT log.
    pub(crate) certificate_log: Arc<Log>,
    /// The transparency log behind the v1 API, and the key that signs its promises.
    pub(crate) log_v1: Arc<Log>,
    pub(crate) log_v1_signer: Arc<dyn Signer>,
    /// The transparency log behind the v2 API.
    pub(crate) log_v2: Arc<Log>,
    pub(crate) log_v2_signer: Arc<dyn Signer>,
    /// What was fixed when the instance was made.
    pub(crate) settings: Settings,
    /// What clients need to trust it, as files.
    pub(crate) files: TrustFiles,
    /// What time it is.
    pub(crate) clock: Clock,
    /// Keeps other processes out of the directory.
    _guard: File,
}

/// What is fixed when an instance is made, and never changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settings {
    layout: u32,
    /// The bare host that names the logs: origin of the v2 log, first word of the v1 log's.
    pub(crate) host: String,
    /// Identifier of the v1 log's tree; the number in its origin and in its entries' names.
    pub(crate) tree_id: u64,
    /// When it was made, in seconds since the epoch: the start of validity of every key.
    pub(crate) created: i64,
    /// Whether a first start has yet to come to its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unfinished: bool,
}

impl Settings {
    /// Origin of the v1 log: sigstore-go tells a v1 log by the ` - number`.
    pub(crate) fn origin_v1(&self) -> String {
        format!("{} - {}", self.host, self.tree_id)
    }

    /// Origin of the CT log; a name of its own, since note keys are found by name.
    pub(crate) fn origin_ct(&self) -> String {
        format!("{}/ct", self.host)
    }

    /// Start of validity of every key.
    pub(crate) fn start(&self) -> UnixTime {
        UnixTime::from_seconds(self.created)
    }
}

/// Where an instance is, and under which URL clients reach it.
#[derive(Clone, Debug)]
pub(crate) struct Location {
    /// Directory of keys, logs and files.
    pub(crate) data: PathBuf,
    /// The lock file.
    pub(crate) lock: PathBuf,
    /// Base URL, without a slash at its end.
    pub(crate) url: String,
    /// Host of that URL, without port.
    pub(crate) host: String,
    /// Identity providers at which people log in, whom the instance believes.
    pub(crate) logins: Vec<String>,
}

impl Instance {
    /// Opens the instance, made if it is not there.
    pub(crate) fn open(location: &Location, clock: Clock) -> Result<Self, Failure> {
        let data = &location.data;
        std::fs::create_dir_all(data)
            .map_err(|error| cannot("make the directory", data).caused_by(error))?;
        machine::sync_directory(machine::directory_of(data))
            .map_err(|error| cannot("make the directory", data).caused_by(error))?;
        let guard = hold(data)?;
        let lock = open_lock(location)?;
        let settings = Settings::read_or_fix(data, &location.host, clock())?;
        let keys = Keys::open_or_create(&data.join("keys"), &settings, clock())?;

        let open = |name: &'static str, form, signer: Arc<dyn CheckpointSigner>| {
            let is_new = settings.unfinished;
            open_log(&data.join(name), &lock, name, form, signer, &clock, is_new)
                .map_err(|failure| failure.hint(lock_hint(&location.lock, is_new)))
        };
        let log_v1_signer: Arc<dyn Signer> = Arc::new(keys.log_v1);
        let log_v2_signer: Arc<dyn Signer> = Arc::new(keys.log_v2);
        let ct_signer: Arc<dyn Signer> = Arc::new(keys.ct);
        let wrong_key = |error| Failure::new(Exit::Failure, "a log's key").caused_by(error);
        let note_v1 =
            NoteSigner::new(settings.origin_v1(), &settings.host, Arc::clone(&log_v1_signer))
                .map_err(wrong_key)?;
        let note_v2 = NoteSigner::new(&settings.host, &settings.host, Arc::clone(&log_v2_signer))
            .map_err(wrong_key)?;
        let tree_head =
            TreeHeadSigner::new(settings.origin_ct(), Arc::clone(&ct_signer)).map_err(wrong_key)?;
        let log_v1 = open("log-v1", Form::Entries, Arc::new(note_v1))?;
        let log_v2 = open("log-v2", Form::Entries, Arc::new(note_v2))?;
        let certificate_log = open("ct", Form::Certificates, Arc::new(tree_head))?;

        let wrong_chain =
            |error| Failure::new(Exit::Failure, "the authority's certificates").caused_by(error);
        let authority =
            CertificateAuthority::new(keys.ca_chain, Box::new(keys.ca)).map_err(wrong_chain)?;
        let timestamps = TimestampAuthority::new(
            keys.tsa_chain,
            Box::new(keys.tsa),
            authority::stamp::SIGSTORE_POLICY,
        )
        .map_err(wrong_chain)?;
        let ct = CertificateLog::new(Arc::clone(&certificate_log), ct_signer);
        let files = TrustFiles::new(
            &files::Members {
                authority: &authority,
                timestamps: &timestamps,
                ct_key: authority::CtLog::public_key(&ct),
                log_v1_key: log_v1_signer.public_key(),
                log_v2_key: log_v2_signer.public_key(),
                settings: &settings,
                logins: &location.logins,
            },
            &location.url,
        );
        files.write(&data.join("public"))?;
        let settings = settings.finish(data)?;
        let floor = TimestampFloor::open(&data.join("timestamp-floor"), settings.start())?;
        Ok(Self {
            certificates: IssuingAuthority::new(authority, ct),
            timestamps,
            timestamp_floor: floor,
            certificate_log,
            log_v1,
            log_v1_signer,
            log_v2,
            log_v2_signer,
            settings,
            files,
            clock,
            _guard: guard,
        })
    }

    /// Whether every log takes entries.
    pub(crate) fn is_ready(&self) -> bool {
        [&self.log_v1, &self.log_v2, &self.certificate_log].iter().all(|log| log.is_running())
    }

    /// Finishes what waits, and stops the logs. Blocks.
    pub(crate) fn stop(&self) {
        for log in [&self.log_v1, &self.log_v2, &self.certificate_log] {
            log.stop();
        }
    }
}

impl Settings {
    fn new(host: &str, now: UnixTime) -> Self {
        // Positive and below 2⁵³, so that every JSON reader keeps it.
        let random = u64::from_be_bytes(crypto::random::bytes());
        let tree_id = (random >> 12).max(1);
        let created = now.seconds();
        Self { layout: LAYOUT, host: host.to_owned(), tree_id, created, unfinished: true }
    }

    /// Those of the directory; where there are none, new ones, durable before anything is made
    /// under their names.
    fn read_or_fix(data: &Path, host: &str, now: UnixTime) -> Result<Self, Failure> {
        let Some(settings) = Self::read(data)? else {
            let settings = Self::new(host, now);
            settings.write(data)?;
            return Ok(settings);
        };
        if settings.host == host {
            return Ok(settings);
        }
        let named = &settings.host;
        Err(Failure::usage(format!(
            "this instance's logs are named `{named}`, but it is to be served as `{host}`"
        ))
        .hint(format!(
            "serve it under the host {named} (--external-url), or make a new instance in another \
             directory: a log's name is signed into every checkpoint"
        )))
    }

    /// `None` if nothing was begun here.
    fn read(data: &Path) -> Result<Option<Self>, Failure> {
        const SIZE_MAX: usize = 64 * 1024;
        let path = data.join(SETTINGS_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let json = machine::read(&path, "instance's settings", SIZE_MAX)?;
        let settings: Self = serde_json::from_slice(&json)
            .map_err(|error| cannot("use the instance's settings", &path).caused_by(error))?;
        if settings.layout == LAYOUT {
            return Ok(Some(settings));
        }
        let Self { layout, .. } = settings;
        Err(Failure::usage(format!(
            "the directory {} has layout {layout}, this program knows {LAYOUT}",
            data.display()
        ))
        .hint("use the version of countersign that made it, or a newer one"))
    }

    /// From here on the instance is never made anew: what is missing then is lost.
    fn finish(self, data: &Path) -> Result<Self, Failure> {
        if !self.unfinished {
            return Ok(self);
        }
        let finished = Self { unfinished: false, ..self };
        finished.write(data)?;
        Ok(finished)
    }

    fn write(&self, data: &Path) -> Result<(), Failure> {
        let path = data.join(SETTINGS_FILE);
        let json = serde_json::to_vec_pretty(self).expect("texts and numbers always serialise");
        machine::replace(&path, &json).map_err(|error| cannot("write", &path).caused_by(error))
    }
}

/// Keeps other processes out of the directory for as long as the file is open.
fn hold(data: &Path) -> Result<File, Failure> {
    let path = data.join(".held");
    let opened = File::options().create(true).truncate(false).write(true).open(&path);
    let file = opened.map_err(|error| cannot("write", &path).caused_by(error))?;
    match file.try_lock() {
        Ok(()) => {
            sign_in(&path, data);
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            Err(Failure::new(Exit::Failure, format!("another process serves {}", data.display()))
                .hint(format!("stop {}, or serve another directory", holder(&path))))
        }
        Err(TryLockError::Error(error)) => Err(cannot("lock", &path).caused_by(error)),
    }
}

fn open_lock(location: &Location) -> Result<Arc<LockFile>, Failure> {
    let guard = LockFile::guard_of(&location.lock);
    let lock = LockFile::open(&location.lock).map_err(|error| {
        let failure = cannot("use the lock file", &location.lock);
        let failure = match error {
            StorageError::InUse { .. } => failure.hint(format!(
                "each instance has a lock file of its own: stop {}, or name another file with \
                 --lock",
                holder(&guard)
            )),
            _ => failure,
        };
        failure.caused_by(error)
    })?;
    sign_in(&guard, &location.data);
    Ok(lock)
}

/// Says in a file that this process holds who it is, for the message of who finds it held. That is
/// all it is for: what keeps others out is the lock on the file.
fn sign_in(guard: &Path, data: &Path) {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let who = format!("process {}, which serves {}\n", std::process::id(), data.display());
    if let Err(error) = std::fs::write(guard, who) {
        tracing::debug!(path = %guard.display(), %error, "could not say who holds it");
    }
}

/// Who holds such a file.
fn holder(guard: &Path) -> String {
    const SIZE_MAX: usize = 8192;
    let said = machine::read(guard, "guard", SIZE_MAX).ok();
    let said = said.and_then(|said| String::from_utf8(said).ok()).unwrap_or_default();
    match said.trim() {
        "" => "the process that has it open".to_owned(),
        said => said.chars().filter(|character| !character.is_control()).collect(),
    }
}

/// What to do when lock and logs do not fit together: the message says how they differ.
fn lock_hint(lock: &Path, is_new: bool) -> String {
    let lock = lock.display();
    if is_new {
        return format!(
            "this is a new instance, but the lock file {lock} may be of an older one: name \
             another with --lock; remove it only if that instance is gone for good"
        );
    }
    format!(
        "the lock file is {lock}; data and lock must both be the newest there are, and nothing is \
         signed until they fit"
    )
}

fn open_log(
    directory: &Path,
    lock: &Arc<LockFile>,
    name: &'static str,
    form: Form,
    signer: Arc<dyn CheckpointSigner>,
    clock: &Clock,
    is_new: bool,
) -> Result<Arc<Log>, Failure> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        cannot("open the log in", directory).caused_by(error)
    };
    let objects = PosixObjects::open(&directory.join("objects")).map_err(|e| failed(e.into()))?;
    let index = Index::open(&directory.join("index")).map_err(|e| failed(e.into()))?;
    let parts = Parts {
        objects: Arc::new(objects),
        lock: Arc::new(lock.slot(name)),
        signer,
        index: Arc::new(index),
        clock: Arc::clone(clock),
    };
    if is_new {
        match Log::create(form, &parts) {
            // An earlier first start came this far.
            Ok(()) | Err(OpenError::AlreadyCreated { .. }) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
    let mut config = Config::new(form);
    if form == Form::Certificates {
        config.interval = CT_INTERVAL;
    }
    Log::open(config, parts).map(Arc::new).map_err(|error| failed(error.into()))
}

fn cannot(what: &str, path: &Path) -> Failure {
    Failure::new(Exit::Failure, format!("cannot {what} {}", path.display()))
}
