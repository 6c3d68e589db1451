//! A mirror of a TUF repository, right or wrong in any way a test wants.

use std::sync::{Arc, Mutex};

use testkit::tuf::Paths;
pub(crate) use testkit::tuf::{Draft, id, key};

use crate::server::{Reply, Server};

/// When everything is valid, unless a test says otherwise.
pub(crate) const NOW: &str = "2026-06-01T00:00:00Z";

/// A good repository with what the public instance says about itself.
pub(crate) fn usual_draft() -> Draft {
    let trusted_root = verify::TrustRoot::public_good_json().to_vec();
    let signing_config = include_bytes!("../../data/public-good-signing-config.json").to_vec();
    Draft::of([("trusted_root.json", trusted_root), ("signing_config.v0.2.json", signing_config)])
}

/// A mirror whose content can be replaced while it runs.
pub(crate) struct Repository {
    pub(crate) server: Server,
    files: Arc<Mutex<Option<Paths>>>,
    /// A path whose answer has no end.
    endless: Arc<Mutex<Option<String>>>,
}

impl Repository {
    pub(crate) async fn start(draft: &Draft) -> Self {
        let files = Arc::new(Mutex::new(Some(draft.files())));
        let endless = Arc::new(Mutex::new(None::<String>));
        let (held, without_end) = (Arc::clone(&files), Arc::clone(&endless));
        let server = Server::start(move |request| {
            if without_end.lock().unwrap().as_ref().is_some_and(|end| request.path().ends_with(end))
            {
                let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
                return Reply::Endless(head, vec![b' '; 4096]);
            }
            match held.lock().unwrap().as_ref() {
                None => Reply::status(503),
                Some(files) => match files.get(request.path()) {
                    Some(bytes) => Reply::ok("application/json", bytes.clone()),
                    None => Reply::status(404),
                },
            }
        })
        .await;
        Self { server, files, endless }
    }

    pub(crate) fn publish(&self, draft: &Draft) {
        *self.files.lock().unwrap() = Some(draft.files());
    }

    /// Answers that the service is unavailable from now on.
    pub(crate) fn fail(&self) {
        *self.files.lock().unwrap() = None;
    }

    pub(crate) fn without_end(&self, path: &str) {
        *self.endless.lock().unwrap() = Some(path.to_owned());
    }

    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) {
        self.files.lock().unwrap().as_mut().unwrap().insert(path.to_owned(), bytes);
    }
}
