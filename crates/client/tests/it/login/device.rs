//! Logins that end on another device, which is asked for again and again.

use std::time::Duration;

use client::IdentityToken;
use client::oidc::login::LoginError;
use serde_json::{Value, json};

use super::{Issuer, Someone, Twist, change, now};
use crate::{ample, http};

async fn on_device(
    twist: Twist,
    pending: Vec<&'static str>,
) -> (Result<IdentityToken, LoginError>, Vec<u64>, Vec<String>) {
    let issuer = Issuer::start(twist).await;
    issuer.session.lock().unwrap().pending = pending.into_iter().rev().collect();
    let someone = Someone::without_browser(&issuer, "");
    let outcome = issuer.login().on_device(&someone, &http(), &now, ample()).await;
    let waited = someone.waited.lock().unwrap().iter().map(Duration::as_secs).collect();
    let told = someone.told.lock().unwrap().clone();
    (outcome, waited, told)
}

#[tokio::test]
async fn another_device_is_asked_for_as_slowly_as_the_issuer_wants() {
    let pending = vec!["authorization_pending", "slow_down", "authorization_pending", "slow_down"];
    let (outcome, waited, told) = on_device(Twist::default(), pending.clone()).await;
    assert_eq!(outcome.unwrap().subject(), "me");
    assert_eq!(waited, [5, 5, 10, 10, 15]);
    assert!(told[0].contains("ABCD-EFGH") && told[0].contains("/activate"), "{told:?}");
    let device = |name: &'static str, value: Value| Twist {
        device: change(move |answer| answer[name] = value.clone()),
        ..Twist::default()
    };
    for (interval, first) in [(json!(1), 1), (json!(0), 5), (json!(86_400), 60)] {
        let (outcome, waited, _) = on_device(device("interval", interval), pending.clone()).await;
        outcome.unwrap();
        assert_eq!(waited[0], first);
    }
    let whole = json!("https://other.example/?code=\u{202e}\nABCD");
    let (_, _, told) = on_device(device("verification_uri_complete", whole), Vec::new()).await;
    assert!(told[0].contains(r#"page: "https://other.example/?code=ABCD""#), "{told:?}");
}

#[tokio::test]
async fn another_device_is_not_waited_for_without_end() {
    let (outcome, waited, _) =
        on_device(Twist::default(), vec!["authorization_pending"; 1000]).await;
    assert!(matches!(outcome.unwrap_err(), LoginError::TimedOut { .. }));
    assert_eq!(waited.len(), 720);
    for code in ["access_denied", "invalid_client"] {
        let (outcome, _, _) = on_device(Twist::default(), vec![code]).await;
        assert!(
            matches!(outcome.unwrap_err(), LoginError::Refused { code: found, .. } if found == code)
        );
    }
    let (outcome, _, _) = on_device(Twist::default(), vec!["expired_token"]).await;
    assert!(matches!(outcome.unwrap_err(), LoginError::TimedOut { .. }));
    let over =
        Twist { device: change(|answer| answer["expires_in"] = json!(0)), ..Twist::default() };
    let (outcome, waited, _) = on_device(over, Vec::new()).await;
    assert!(matches!(outcome.unwrap_err(), LoginError::TimedOut { seconds: 0 }));
    assert_eq!(waited.len(), 1);
    for (name, expected) in [
        ("device_authorization_endpoint", "no `device_authorization_endpoint`"),
        ("code_challenge_methods_supported", "proof keys"),
    ] {
        let twist = Twist {
            configuration: change(move |found| {
                found.as_object_mut().unwrap().remove(name);
            }),
            ..Twist::default()
        };
        let (outcome, _, _) = on_device(twist, Vec::new()).await;
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
