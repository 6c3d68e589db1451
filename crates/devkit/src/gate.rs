//! What every request passes on its way in and out: it is recorded, and meets the faults that a
//! test has armed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tokio::sync::watch;

use crate::fault::{self, Fault, FaultRule};
use crate::record::Record;
use crate::server::stopped;

/// Fault rules armed at once.
const RULES_MAX: usize = 1000;

/// Shared by a server's handle and all its requests.
pub(crate) struct Gate {
    pub(crate) record: Record,
    rules: Mutex<Vec<FaultRule>>,
    stopping: watch::Receiver<bool>,
    /// How this server says that something went wrong.
    error_answer: fn(StatusCode) -> Response,
}

impl Gate {
    pub(crate) fn new(
        stopping: watch::Receiver<bool>,
        error_answer: fn(StatusCode) -> Response,
    ) -> Arc<Self> {
        Arc::new(Self {
            record: Record::default(),
            rules: Mutex::new(Vec::new()),
            stopping,
            error_answer,
        })
    }

    /// Arms a fault; the oldest of too many is disarmed.
    pub(crate) fn inject(&self, rule: FaultRule) {
        let mut rules = self.rules();
        if rules.len() == RULES_MAX {
            rules.remove(0);
        }
        rules.push(rule);
    }

    pub(crate) fn clear_faults(&self) {
        self.rules().clear();
    }

    /// Puts the gate in front of every route.
    pub(crate) fn guard(self: &Arc<Self>, router: Router) -> Router {
        router.layer(from_fn_with_state(Arc::clone(self), pass))
    }

    fn rules(&self) -> MutexGuard<'_, Vec<FaultRule>> {
        // A rule is pushed or counted down whole; a panic elsewhere leaves the list usable.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pass(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let number = gate.record.note(&request);
    let fault = fault::take(&mut gate.rules(), request.method(), request.uri().path());
    let answer = match fault {
        None => next.run(request).await,
        Some(Fault::Status(status)) => (gate.error_answer)(status),
        Some(Fault::Answer { status, headers, body }) => {
            let mut answer = Response::new(Body::from(body));
            *answer.status_mut() = status;
            answer.headers_mut().extend(headers);
            answer
        }
        Some(Fault::Hang) => {
            stopped(&mut gate.stopping.clone()).await;
            (gate.error_answer)(StatusCode::SERVICE_UNAVAILABLE)
        }
        Some(Fault::RedirectTo(location)) => fault::redirect(location),
        Some(fault) => {
            let uri = request.uri().clone();
            fault::spoil(fault, &uri, next.run(request).await).await
        }
    };
    gate.record.note_status(number, answer.status());
    answer
}
