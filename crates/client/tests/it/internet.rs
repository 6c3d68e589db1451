//! A small internet: many hosts under their true names, all of them one server that speaks TLS
//! and says what a test tells it to. Whatever is sent to any of them is on record.

use std::sync::{Arc, Mutex};

use client::{Http, HttpOptions, TlsTrust};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::options;
use crate::server::{Received, Reply, serve};
use crate::tls::Authority;

pub(crate) struct Internet {
    authority: Authority,
    hosts: Vec<String>,
    port: u16,
    requests: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Internet {
    /// Hosts of these names, answered by host and request.
    pub(crate) async fn of(
        hosts: &[&str],
        reply: impl Fn(&str, &Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let authority = Authority::named("internet");
        let acceptor = authority.acceptor(hosts);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, reply) = (Arc::clone(&requests), Arc::new(reply));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, reply) = (Arc::clone(&seen), Arc::clone(&reply));
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    // A client that does not trust us hangs up.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let by_host = |request: &Received| reply(host(request), request);
                    let _ = serve(stream, &seen, &by_host).await;
                });
            }
        });
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Self { authority, hosts, port, requests, task }
    }

    /// As in production, but that these hosts are here.
    pub(crate) fn options(&self) -> HttpOptions {
        let address = ([127, 0, 0, 1], self.port).into();
        HttpOptions {
            tls_trust: TlsTrust::Only(vec![self.authority.certificate.clone()]),
            dial: self.hosts.iter().map(|host| (host.clone(), address)).collect(),
            ..options()
        }
    }

    pub(crate) fn http(&self) -> Arc<Http> {
        Arc::new(Http::new(self.options()).unwrap())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.requests.lock().unwrap().clone()
    }

    /// `host GET /target` of all requests.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |request: &Received| format!("{} {}", host(request), request.line());
        self.requests().iter().map(line).collect()
    }

    /// What was sent to one host.
    pub(crate) fn to(&self, name: &str) -> Vec<Received> {
        self.requests().into_iter().filter(|request| host(request) == name).collect()
    }

    /// The hosts that any credentials were sent to.
    pub(crate) fn trusted(&self) -> Vec<String> {
        let shown = |request: &&Received| request.header("authorization").is_some();
        let mut hosts: Vec<_> =
            self.requests().iter().filter(shown).map(|request| host(request).to_owned()).collect();
        hosts.dedup();
        hosts
    }
}

fn host(request: &Received) -> &str {
    request.header("host").unwrap_or_default()
}

impl Drop for Internet {
    fn drop(&mut self) {
        self.task.abort();
    }
}
