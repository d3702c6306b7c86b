//! What is configured about S3 outside of the address, in the words of the tools that everybody has.

use std::{collections::BTreeMap, fmt, str::FromStr};

use object_store::aws::AmazonS3ConfigKey;

/// Settings that make credentials, each enough to say that there are some.
const CREDENTIALS: [AmazonS3ConfigKey; 4] = [
    AmazonS3ConfigKey::AccessKeyId,
    AmazonS3ConfigKey::WebIdentityTokenFile,
    AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    AmazonS3ConfigKey::ContainerCredentialsFullUri,
];

/// Region, server and credentials of S3 buckets.
///
/// Nothing is read from the environment here: the caller passes on the variables `AWS_…` and the files `~/.aws/credentials` and `~/.aws/config`. What was set
/// first stays, so the caller begins with what goes before.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct S3Settings {
    /// By `AmazonS3ConfigKey` in its text form.
    values: BTreeMap<String, (AmazonS3ConfigKey, String)>,
    asks_machine: bool,
}

impl S3Settings {
    /// Adds an environment variable. Those that mean nothing to S3 are left out.
    pub fn add_variable(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        // The bucket is in the address.
        let meant = name.starts_with("aws_") && !name.starts_with("aws_bucket");
        if meant && let Ok(key) = AmazonS3ConfigKey::from_str(&name) {
            self.add(key, value);
        }
    }

    /// Adds what a file `credentials` or `config` says of a profile: keys, session token, region, server and the role of a web identity.
    ///
    /// Profiles that start other programs or take on the role of another profile are not followed.
    pub fn add_profile(&mut self, text: &str, profile: &str) {
        let mut is_inside = false;
        for line in text.lines().map(str::trim) {
            if let Some(section) = line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'))
            {
                let section = section.trim();
                let name = section.strip_prefix("profile ").unwrap_or(section);
                is_inside = name.trim() == profile;
            } else if is_inside
                && let Some((key, value)) = line.split_once('=')
                && let Some(key) = profile_key(key.trim())
            {
                self.add(key, value.trim());
            }
        }
    }

    /// Lets the machine's metadata service be asked for credentials when there are no others. Only for machines that have one: elsewhere it takes seconds to
    /// find out.
    pub fn ask_machine(&mut self) {
        self.asks_machine = true;
    }

    /// Whether requests are signed.
    pub(super) fn has_credentials(&self) -> bool {
        self.asks_machine
            || self
                .values
                .values()
                .any(|(key, _)| CREDENTIALS.contains(key))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (AmazonS3ConfigKey, &str)> {
        // In the order of the names, which puts the default region before the region.
        self.values
            .values()
            .map(|(key, value)| (*key, value.as_str()))
    }

    fn add(&mut self, key: AmazonS3ConfigKey, value: &str) {
        if !value.is_empty() {
            self.values
                .entry(key.as_ref().to_owned())
                .or_insert_with(|| (key, value.to_owned()));
        }
    }
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Some of the values are secret.
        f.debug_set().entries(self.values.keys()).finish()
    }
}

fn profile_key(name: &str) -> Option<AmazonS3ConfigKey> {
    Some(match name {
        "aws_access_key_id" => AmazonS3ConfigKey::AccessKeyId,
        "aws_secret_access_key" => AmazonS3ConfigKey::SecretAccessKey,
        "aws_session_token" => AmazonS3ConfigKey::Token,
        "region" => AmazonS3ConfigKey::Region,
        "endpoint_url" => AmazonS3ConfigKey::Endpoint,
        "web_identity_token_file" => AmazonS3ConfigKey::WebIdentityTokenFile,
        "role_arn" => AmazonS3ConfigKey::RoleArn,
        "role_session_name" => AmazonS3ConfigKey::RoleSessionName,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(settings: &S3Settings) -> Vec<String> {
        let shown = settings
            .values()
            .map(|(key, value)| format!("{} {value}", key.as_ref()));
        shown.collect()
    }

    #[test]
    fn what_was_said_first_stays() {
        let mut settings = S3Settings::default();
        assert!(!settings.has_credentials());
        for (name, value) in [
            ("AWS_REGION", "here"),
            ("AWS_DEFAULT_REGION", "there"),
            ("AWS_ENDPOINT_URL", "http://h"),
            ("AWS_SESSION_TOKEN", ""),
            ("AWS_BUCKET", "other"),
            ("AWS_CA_BUNDLE", "/x"),
            ("REGION", "no"),
        ] {
            settings.add_variable(name, value);
        }
        assert!(!settings.has_credentials());
        let file = "[other]\naws_access_key_id = A\n[ profile work ]\n# x\naws_access_key_id = K\n\
            aws_secret_access_key=S=\nregion = elsewhere\nsource_profile = other\n[default]\naws_session_token=T\n";
        settings.add_profile(file, "work");
        assert!(settings.has_credentials());
        assert_eq!(
            shown(&settings),
            [
                "aws_access_key_id K",
                "aws_default_region there",
                "aws_endpoint http://h",
                "aws_region here",
                "aws_secret_access_key S=",
            ]
        );
        assert!(!format!("{settings:?}").contains("S="));
    }
}
