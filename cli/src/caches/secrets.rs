//! Credentials for a cache: what its settings name, else what the usual files and variables have for its host.

use std::fs;
use std::path::{Path, PathBuf};

use store::cache::backend::{Credentials, S3Settings};
use zeroize::Zeroizing;

use super::registry_auth::{self, Login};
use super::{CredentialError, credential_helper, netrc};
use crate::settings::{CacheEntry, CredentialSource, Origin, Variables, read_variable};

/// Returns who asks a server; `None` for nobody, and where the address says it.
pub(super) fn credentials(
    entry: &CacheEntry,
    variables: &Variables,
) -> Result<Option<Credentials>, CredentialError> {
    match &entry.credentials {
        Some(CredentialSource::TokenFile(path)) => {
            let text = fs::read_to_string(path).map(Zeroizing::new);
            let text = text.map_err(|source| CredentialError::TokenFile {
                path: path.clone(),
                source,
            })?;
            return Ok(Some(bearer(&text)));
        }
        Some(CredentialSource::TokenVariable(name)) => {
            let text = read_variable(name).map(Zeroizing::new);
            let text = text.ok_or_else(|| CredentialError::TokenVariable {
                name: name.clone(),
                cache: entry.url.to_string(),
            })?;
            return Ok(Some(bearer(&text)));
        }
        Some(_) => return Ok(None),
        None => {}
    }
    Ok(match (entry.url.scheme(), entry.url.host()) {
        // The token is for whatever cache the user names together with it, and for no other.
        ("http" | "https", _)
            if entry.origin == Origin::Command && variables.cache_token.is_some() =>
        {
            variables.cache_token.clone()
        }
        ("http" | "https", Some(host)) => from_netrc(host, variables),
        ("oci", _) => {
            let text = entry.url.to_string();
            match text.strip_prefix("oci://") {
                Some(repository) => registry_credentials(repository, variables)?,
                None => None,
            }
        }
        _ => None,
    })
}

fn bearer(text: &str) -> Credentials {
    Credentials::Bearer(Zeroizing::new(text.trim().to_owned()))
}

fn from_netrc(host: &str, variables: &Variables) -> Option<Credentials> {
    let usual = || Some(variables.home.as_ref()?.join(".netrc"));
    let path = variables.netrc.clone().or_else(usual)?;
    netrc::find(&read(&path)?, host)
}

/// Returns who one is in the registry of a repository, `registry.example/name`, by the files of docker and podman and the programs that they name.
pub(crate) fn registry_credentials(
    repository: &str,
    variables: &Variables,
) -> Result<Option<Credentials>, CredentialError> {
    let below = |base: &Option<PathBuf>, rest: &str| base.as_ref().map(|base| base.join(rest));
    let files = [
        variables.registry_auth_file.clone(),
        below(&variables.runtime_dir, "containers/auth.json"),
        below(&variables.docker_config, "config.json"),
        below(&variables.home, ".docker/config.json"),
    ];
    for text in files.into_iter().flatten().filter_map(|path| read(&path)) {
        let found = match registry_auth::find(&text, repository) {
            Some(Login::Here(credentials)) => Some(credentials),
            Some(Login::Helper { name, server }) => credential_helper::ask(&name, &server)?,
            None => None,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Returns region, server and credentials of a bucket: what the settings say of it, then `AWS_…`, then the files of a profile.
pub(super) fn s3(entry: &CacheEntry, variables: &Variables) -> S3Settings {
    let mut settings = S3Settings::default();
    let named = [
        ("AWS_REGION", &entry.region),
        ("AWS_ENDPOINT_URL", &entry.endpoint),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            settings.add_variable(name, value);
        }
    }
    if entry.url.scheme() != "s3" || entry.credentials == Some(CredentialSource::None) {
        return settings;
    }
    let profile = match &entry.credentials {
        Some(CredentialSource::Profile(profile)) => Some(profile.as_str()),
        _ => None,
    };
    // Who names a profile does not mean whoever the variables are of.
    if profile.is_none() {
        for (name, value) in variables.aws.iter() {
            settings.add_variable(name, value);
        }
    }
    let profile = profile
        .or_else(|| variables.aws.get("AWS_PROFILE"))
        .unwrap_or("default");
    for (variable, name) in [
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ("AWS_CONFIG_FILE", "config"),
    ] {
        let named = variables.aws.get(variable).map(PathBuf::from);
        let usual = || Some(variables.home.as_ref()?.join(".aws").join(name));
        if let Some(text) = named.or_else(usual).and_then(|path| read(&path)) {
            settings.add_profile(&text, profile);
        }
    }
    if entry.credentials == Some(CredentialSource::Machine) {
        settings.ask_machine();
    }
    settings
}

/// Reads a file that may be absent, and that other tools complain about if it is wrong.
fn read(path: &Path) -> Option<Zeroizing<String>> {
    fs::read_to_string(path).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::CacheSettings;

    fn entry(url: &str) -> CacheEntry {
        CacheSettings::default().entry(&url.parse().unwrap())
    }

    fn home(files: &[(&str, &str)]) -> (tempfile::TempDir, Variables) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let variables = Variables {
            home: Some(directory.path().to_owned()),
            ..Variables::default()
        };
        (directory, variables)
    }

    #[test]
    fn a_login_goes_to_its_own_host_alone() {
        let (_home, variables) = home(&[
            (".netrc", "machine a.example login me password p"),
            (
                ".docker/config.json",
                r#"{"auths":{"r.example":{"auth":"bWU6cA=="}}}"#,
            ),
        ]);
        for (url, found) in [
            ("https://a.example/cache", true),
            ("https://b.example/cache", false),
            ("oci://r.example/cache", true),
            ("oci://a.example/cache", false),
            ("/srv/cache", false),
        ] {
            let credentials = credentials(&entry(url), &variables).unwrap();
            assert_eq!(credentials.is_some(), found, "{url}");
        }
    }

    #[test]
    fn the_token_of_the_environment_is_not_for_caches_of_a_file() {
        let variables = Variables {
            cache_token: Some(bearer("t\n")),
            ..Variables::default()
        };
        let named = entry("https://a.example/cache");
        let of_file = CacheEntry {
            origin: Origin::Project,
            ..named.clone()
        };
        assert!(credentials(&named, &variables).unwrap() == Some(bearer("t")));
        assert!(credentials(&of_file, &variables).unwrap().is_none());
    }

    #[test]
    fn a_named_source_is_the_only_one() {
        let (home, variables) = home(&[
            (".netrc", "machine a.example login me password p"),
            ("token", "t\n"),
        ]);
        let mut entry = entry("https://a.example/cache");
        entry.credentials = Some(CredentialSource::None);
        assert!(credentials(&entry, &variables).unwrap().is_none());
        entry.credentials = Some(CredentialSource::TokenFile(home.path().join("token")));
        assert!(credentials(&entry, &variables).unwrap() == Some(bearer("t")));
        entry.credentials = Some(CredentialSource::TokenFile(home.path().join("gone")));
        assert!(credentials(&entry, &variables).is_err());
        entry.credentials = Some(CredentialSource::TokenVariable("PITH_NO_SUCH".to_owned()));
        assert_eq!(
            credentials(&entry, &variables).unwrap_err().to_string(),
            "`PITH_NO_SUCH`, which should hold the token for `https://a.example/cache`, is not set"
        );
    }

    #[test]
    fn a_bucket_has_the_settings_of_its_profile() {
        let (_home, variables) = home(&[(
            ".aws/credentials",
            "[work]\naws_access_key_id = K\naws_secret_access_key = S\n",
        )]);
        let mut entry = entry("s3://b");
        assert!(s3(&entry, &variables) == S3Settings::default());
        entry.credentials = Some(CredentialSource::Profile("work".to_owned()));
        assert!(s3(&entry, &variables) != S3Settings::default());
        entry.credentials = Some(CredentialSource::None);
        assert!(s3(&entry, &variables) == S3Settings::default());
    }
}
