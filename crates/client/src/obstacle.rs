//! What kept us from seeing evidence, in the words of `verify`.

use verify::{Obstacle, ObstacleKind};

use crate::error::{FetchError, FetchErrorKind, Unauthorized};

impl From<&FetchError> for Obstacle {
    fn from(error: &FetchError) -> Self {
        let kind = match error.kind() {
            FetchErrorKind::Unauthorized(
                Unauthorized::RealmRefused { .. } | Unauthorized::UnknownChallenge { .. },
            ) => ObstacleKind::Unsupported,
            FetchErrorKind::Unauthorized(_) => ObstacleKind::Unauthorized,
            FetchErrorKind::Forbidden { .. } => ObstacleKind::Forbidden,
            FetchErrorKind::NotFound { .. } => ObstacleKind::NotFound,
            FetchErrorKind::RateLimited { .. } => ObstacleKind::RateLimited,
            FetchErrorKind::TimedOut(_) => ObstacleKind::TimedOut,
            FetchErrorKind::Unreachable(_) => ObstacleKind::Unreachable,
            FetchErrorKind::Tls(_) => ObstacleKind::Tls,
            FetchErrorKind::TooLarge { .. } | FetchErrorKind::TooMany { .. } => {
                ObstacleKind::TooLarge
            }
            // All of these are answers that a working registry does not give.
            FetchErrorKind::Malformed { .. }
            | FetchErrorKind::DigestMismatch { .. }
            | FetchErrorKind::RedirectedAway { .. }
            | FetchErrorKind::Rejected { .. }
            | FetchErrorKind::Overwritten { .. } => ObstacleKind::Malformed,
            FetchErrorKind::ServerError { .. } => ObstacleKind::ServerError,
        };
        let attempt = error.attempt();
        let what = format!("{} {}", attempt.method, attempt.url);
        Self { kind, what, detail: error.kind().to_string() }
    }
}

impl From<FetchError> for Obstacle {
    fn from(error: FetchError) -> Self {
        Self::from(&error)
    }
}
