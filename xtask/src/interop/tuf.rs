//! python-tuf's repositories, right and wrong, against our TUF client; and python-tuf's own client
//! beside it, so that every repository is what its name says.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use super::bench::Bench;
use super::check::Check;
use super::failure::Failure;
use super::group::Group;
use super::process::{Finished, Running};

/// The scenarios that a client must take, and what each is about.
const GOOD: [(&str, &str); 4] = [
    ("good-ecdsa", "ECDSA keys"),
    ("good-ed25519", "Ed25519 keys"),
    ("good-rsa", "RSA keys"),
    ("rotated", "a root that was rotated twice"),
];

/// Those that it must refuse, what each is about, and the words by which we say so.
const BAD: [(&str, &str, &str); 13] = [
    ("usurped", "a new root that too few of the old one signed", "good signatures"),
    ("threshold", "too few signatures", "wanted 2 good signatures of different keys, found 1"),
    ("duplicate-signature", "one signature twice", "two signatures of one key"),
    ("expired-root", "an expired root", "the root of the mirror"),
    ("expired-timestamp", "an expired timestamp", "the timestamp of the mirror"),
    ("expired-snapshot", "an expired snapshot", "the snapshot of the mirror"),
    ("expired-targets", "expired targets", "the targets of the mirror"),
    ("wrong-hash", "a target with another hash", "mismatch"),
    ("wrong-length", "a target that is too long", "wanted at most"),
    ("endless-root", "a root without end", "wanted at most 512000 bytes"),
    ("endless-timestamp", "a timestamp without end", "wanted at most 16384 bytes"),
    ("endless-snapshot", "a snapshot without end", "wanted at most"),
    ("endless-targets", "targets without end", "wanted at most"),
];

/// Those that take back what they said: which role.
const ROLLBACKS: [&str; 3] = ["timestamp", "snapshot", "targets"];

/// How a check is run, once the repositories are served.
type Run = Box<dyn Fn(&Shelf<'_>) -> Result<(), Failure>>;

/// The checks.
pub(super) fn checks() -> Vec<Check> {
    let shelf = Rc::new(RefCell::new(None));
    let check = |name: String, run: Run| {
        let server = Rc::clone(&shelf);
        Check::new(Group::Tuf, name, move |bench| {
            let mut server = server.borrow_mut();
            if server.is_none() {
                *server = Some(Server::start(bench)?);
            }
            let server = server.as_ref().expect("it was just started");
            run(&Shelf { bench, server })
        })
    };
    let mut checks = Vec::new();
    for (scenario, what) in GOOD {
        let run = move |shelf: &Shelf<'_>| shelf.expect(scenario, Ok(()));
        checks.push(check(format!("python-tuf writes {what}, ours takes it"), Box::new(run)));
    }
    for (scenario, what, words) in BAD {
        let run = move |shelf: &Shelf<'_>| shelf.expect(scenario, Err(words));
        checks.push(check(format!("both refuse {what}"), Box::new(run)));
    }
    for role in ROLLBACKS {
        let run = move |shelf: &Shelf<'_>| {
            let scenario = format!("rollback-{role}");
            shelf.expect(&scenario, Ok(()))?;
            fs::write(shelf.server.folder.join(format!("{scenario}.stage")), "")?;
            shelf.expect(&scenario, Err("is older than version 3, which was seen before"))
        };
        checks.push(check(format!("both refuse an older {role} than before"), Box::new(run)));
    }
    checks
}

/// Serves all scenarios until it is dropped.
struct Server {
    _running: Running,
    url: String,
    folder: PathBuf,
}

/// What a check needs.
struct Shelf<'a> {
    bench: &'a Bench,
    server: &'a Server,
}

impl Server {
    fn start(bench: &Bench) -> Result<Self, Failure> {
        let folder = bench.path("tuf");
        fs::create_dir_all(&folder)?;
        let trust = bench.trust();
        let mut command = bench.script("repositories.py");
        command.arg("serve").arg(&folder);
        for name in ["trustedRoot", "signingConfig"] {
            let path = bench.write(&format!("{name}.json"), trust[name].to_string().as_bytes())?;
            command.arg(path);
        }
        let mut running = bench.keep_running("repositories", &mut command)?;
        let address = folder.join("url");
        running.wait_until(|| address.exists())?;
        Ok(Self { _running: running, url: fs::read_to_string(address)?, folder })
    }
}

impl Shelf<'_> {
    /// Both clients take a scenario, or both refuse it, ours with these words.
    fn expect(&self, scenario: &str, wanted: Result<(), &str>) -> Result<(), Failure> {
        let ours = self.ours(scenario)?;
        match wanted {
            Ok(()) if ours.succeeded() => {}
            Err(words) if !ours.succeeded() && ours.stderr.contains(words) => {}
            Ok(()) => return Err(Failure::new(ours.report())),
            Err(words) => {
                let report = ours.report();
                return Err(Failure::new(format!("wanted a refusal with `{words}`\n{report}")));
            }
        }
        let theirs = self.theirs(scenario)?;
        if theirs.succeeded() == wanted.is_ok() {
            return Ok(());
        }
        Err(Failure::new(format!("python-tuf is of another opinion\n{}", theirs.report())))
    }

    fn ours(&self, scenario: &str) -> Result<Finished, Failure> {
        let mut command = self.bench.ours();
        command.env("TUF_ROOT", self.bench.path(&format!("ours-{scenario}")));
        command.arg("initialize").arg("--mirror").arg(self.mirror(scenario));
        command.arg("--root").arg(self.root(scenario));
        Ok(self.bench.run(&mut command)?)
    }

    fn theirs(&self, scenario: &str) -> Result<Finished, Failure> {
        let folder = self.bench.path(&format!("theirs-{scenario}"));
        fs::create_dir_all(&folder)?;
        let mut command = self.bench.script("repositories.py");
        command.arg("judge").arg(self.mirror(scenario)).arg(self.root(scenario)).arg(folder);
        Ok(self.bench.run(&mut command)?)
    }

    fn mirror(&self, scenario: &str) -> String {
        format!("{}/{scenario}", self.server.url)
    }

    fn root(&self, scenario: &str) -> PathBuf {
        self.server.folder.join(format!("{scenario}.root.json"))
    }
}
