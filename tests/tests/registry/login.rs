//! Who one is, where a registry has others tell it.

use pack::registry::open_repository;
use store::{net::Credentials, registry::RegistryError};
use tests::{
    http_server::{Asked, HttpServer, Reply},
    other_servers::Registry,
};

use crate::{TestResult, before, registry_options};

const IDENTITY: &str = "identity+/=&token";
const TOKEN: &str = "good-for-a-while";

/// Gives out tokens as the log-ins of registries do to whom a token was given before.
fn log_in(asked: &Asked) -> Reply {
    let expected = "grant_type=refresh_token&client_id=pith&service=registry+of+a+test\
        &scope=repository%3Ateam%2Fapp%3Apull%2Cpush&refresh_token=identity%2B%2F%3D%26token";
    let kind = asked.header("content-type");
    let is_form = asked.method == "POST" && kind == Some("application/x-www-form-urlencoded");
    if !is_form || asked.body != expected.as_bytes() {
        return Reply::new(401, asked.body.clone());
    }
    let answer = serde_json::json!({ "access_token": TOKEN, "expires_in": 60, "scope": "" });
    Reply::new(200, answer.to_string())
}

/// Debian's registry behind a log-in at `place`.
fn behind_log_in(registry: &Registry, place: String) -> HttpServer {
    before(registry, move |asked, _| {
        let good = format!("Bearer {TOKEN}");
        if asked.header("authorization") == Some(&good) {
            return None;
        }
        let challenge = format!("Bearer realm=\"{place}\",service=\"registry of a test\"");
        Some(Reply::new(401, "").with("www-authenticate", challenge))
    })
}

#[test]
fn an_identity_token_is_traded_at_the_log_in_and_never_sent_to_the_registry() -> TestResult {
    let registry = Registry::start("")?;
    let tokens = HttpServer::start(|asked| Some(log_in(asked)));
    let server = behind_log_in(&registry, format!("http://{}/token", tokens.address()));
    let name = format!("{}/team/app:1", server.address()).parse()?;
    let open = |credentials| {
        let mut options = registry_options();
        options.credentials = credentials;
        open_repository(&name, &options)
    };
    let identity = |token: &str| Credentials::Identity(token.to_owned().into());

    let repository = open(Some(identity(IDENTITY)))?;
    let absent = format!("sha256:{}", "0".repeat(64));
    assert!(!repository.has_blob(&absent, "app")?);
    assert!(!repository.has_blob(&absent, "app")?);
    assert_eq!(tokens.asked().len(), 1, "a token is good for a while");
    let told: Vec<_> = server
        .asked()
        .iter()
        .map(|asked| asked.header("authorization").map(str::to_owned))
        .collect();
    let good = Some(format!("Bearer {TOKEN}"));
    assert_eq!(told, [None, good.clone(), good]);

    let refused = open(Some(identity("another")))?.has_blob(&absent, "app");
    assert!(
        matches!(refused, Err(RegistryError::Forbidden { .. })),
        "{refused:?}"
    );
    Ok(())
}
