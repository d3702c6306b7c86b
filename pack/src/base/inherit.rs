//! How an image is run where its specification is silent: as its base is.

use serde::Deserialize;
use serde_json::Value;

use super::{BaseError, BaseTree, accounts::Accounts};
use crate::{
    ImageSpec,
    oci::{ContainerConfig, Empty, History, or_default},
    rootfs::{USUAL_PATH, User},
};

/// Where the programs of an image are linked.
const PROGRAMS: &str = "/bin";

/// What a base says about how it is run and came to be.
///
/// `Shell`, `OnBuild` and `ArgsEscaped`, which only builders of `Dockerfile`s read, are not among it.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    config: ContainerConfig,
    history: Vec<History>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    config: Value,
    #[serde(default, deserialize_with = "or_default")]
    history: Vec<History>,
}

impl Inherited {
    /// Reads the configuration of an image, of whichever writer.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let Document {
            mut config,
            history,
        } = serde_json::from_slice(bytes)?;
        remove_nulls(&mut config);
        let config = match config {
            Value::Null => ContainerConfig::default(),
            config => serde_json::from_value(config)?,
        };
        Ok(Self { config, history })
    }

    /// Returns the specification with what the base says where it says nothing itself. `base` is the name of the base, for errors.
    pub(crate) fn fill(
        &self,
        spec: &ImageSpec,
        base: &str,
        tree: &BaseTree,
    ) -> Result<ImageSpec, BaseError> {
        let mut spec = spec.clone();
        let inherited = &self.config;
        for variable in &inherited.env {
            if let Some((name, value)) = variable.split_once('=') {
                spec.env
                    .entry(name.to_owned())
                    .or_insert_with(|| match name {
                        "PATH" => with_programs(value, tree),
                        _ => value.to_owned(),
                    });
            }
        }
        spec.env
            .entry("PATH".to_owned())
            .or_insert_with(|| USUAL_PATH.to_owned());
        for (name, value) in &inherited.labels {
            spec.labels
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
        if spec.working_directory.is_none() && !inherited.working_dir.is_empty() {
            spec.working_directory = Some(inherited.working_dir.clone());
        }
        if spec.health_check.is_none() {
            spec.health_check.clone_from(&inherited.health_check);
        }
        if spec.stop_signal.is_none() {
            spec.stop_signal.clone_from(&inherited.stop_signal);
        }
        spec.user = self.user(spec.user.take(), base, tree)?;
        Ok(spec)
    }

    /// Who the program is: whom the specification names, by the number that the base has for the name, else the user of the base.
    fn user(
        &self,
        wanted: Option<User>,
        base: &str,
        tree: &BaseTree,
    ) -> Result<Option<User>, BaseError> {
        let accounts = Accounts::of(tree);
        match wanted {
            Some(user) if user.uid() == User::NAMED_ID => {
                Ok(Some(accounts.named(user.name()).unwrap_or(user)))
            }
            Some(user) => Ok(Some(user)),
            None if self.config.user.is_empty() => Ok(None),
            None => match accounts.resolve(&self.config.user) {
                Some(user) => Ok(Some(user)),
                None => Err(BaseError::User {
                    base: base.to_owned(),
                    user: self.config.user.clone(),
                }),
            },
        }
    }

    /// Gives an image that has no program of its own the base's. Arguments of the image's own take the place of the base's.
    pub(crate) fn program(&self, entrypoint: &mut Vec<String>, cmd: &mut Vec<String>) {
        entrypoint.clone_from(&self.config.entrypoint);
        if cmd.is_empty() {
            cmd.clone_from(&self.config.cmd);
        }
    }

    /// Adds what an image has beside its own; where it says nothing about its user, that of the base in the base's words: names have groups that numbers do not.
    pub(crate) fn add_to(&self, config: &mut ContainerConfig, user_is_inherited: bool) {
        if user_is_inherited && !self.config.user.is_empty() {
            config.user.clone_from(&self.config.user);
        }
        let ports = self.config.exposed_ports.keys();
        let volumes = self.config.volumes.keys();
        (config.exposed_ports).extend(ports.map(|port| (port.clone(), Empty {})));
        (config.volumes).extend(volumes.map(|volume| (volume.clone(), Empty {})));
    }

    /// Returns how the layers of the base came to be. Where that is not about `layers` layers, as whoever counts them wants it, each has an entry that says nothing else.
    pub(crate) fn history(&self, layers: usize) -> Vec<History> {
        let about_layers = self.history.iter().filter(|entry| !entry.empty_layer);
        if about_layers.count() == layers {
            return self.history.clone();
        }
        let entry = History {
            comment: Some("a layer of the base image".to_owned()),
            ..History::default()
        };
        vec![entry; layers]
    }
}

/// `null` is what Go writes for what is empty.
fn remove_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(remove_nulls);
    }
}

/// A search path in which the programs of the image are found.
fn with_programs(path: &str, tree: &BaseTree) -> String {
    let programs = tree.resolve(PROGRAMS.as_bytes());
    let is_there = path
        .split(':')
        .any(|directory| tree.resolve(directory.as_bytes()) == programs);
    match (is_there, path.is_empty()) {
        (true, _) => path.to_owned(),
        (false, true) => PROGRAMS.to_owned(),
        (false, false) => format!("{path}:{PROGRAMS}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"os":"linux","architecture":"amd64","author":"x",
        "config":{"User":"","Env":["A=base","B=base=1","PATH=/usr/bin"],"Cmd":["serve"],"Entrypoint":["/init"],
            "WorkingDir":"/srv","Volumes":{"/data":{}},"ExposedPorts":{"80/tcp":{}},"Labels":{"l":"base","m":"base"},
            "OnBuild":null,"Shell":["sh"],"StopSignal":"SIGQUIT","Healthcheck":{"Test":["CMD-SHELL","true"],"Retries":null}},
        "rootfs":{"type":"layers","diff_ids":[]},"history":[{"created_by":"a"},{"created_by":"b","empty_layer":true}]}"#;

    fn spec() -> ImageSpec {
        ImageSpec::new("app".parse().unwrap())
    }

    #[test]
    fn a_silent_specification_gets_everything() {
        let inherited = Inherited::parse(CONFIG.as_bytes()).unwrap();
        let tree = BaseTree::of(&["bin -> usr/bin", "usr/bin/sh"]);
        let spec = inherited.fill(&spec(), "base", &tree).unwrap();
        assert_eq!(spec.env["A"], "base");
        assert_eq!(spec.env["B"], "base=1");
        assert_eq!(spec.env["PATH"], "/usr/bin");
        assert_eq!(spec.working_directory.as_deref(), Some("/srv"));
        assert_eq!(spec.stop_signal.as_deref(), Some("SIGQUIT"));
        assert_eq!(spec.health_check.unwrap().test, ["CMD-SHELL", "true"]);
        assert_eq!(spec.labels["l"], "base");
        assert_eq!(spec.user, None);
        let (mut entrypoint, mut cmd) = (Vec::new(), vec!["own".to_owned()]);
        inherited.program(&mut entrypoint, &mut cmd);
        assert_eq!(
            (entrypoint, cmd),
            (vec!["/init".to_owned()], vec!["own".to_owned()])
        );
        let mut config = ContainerConfig::default();
        inherited.add_to(&mut config, true);
        assert!(
            config.exposed_ports.contains_key("80/tcp") && config.volumes.contains_key("/data")
        );
    }

    #[test]
    fn what_is_said_stays() {
        let inherited = Inherited::parse(CONFIG.as_bytes()).unwrap();
        let mut own = spec();
        own.env = [("A", "own"), ("PATH", "/mine")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        own.labels.insert("l".to_owned(), "own".to_owned());
        own.working_directory = Some("/own".to_owned());
        own.stop_signal = Some("SIGINT".to_owned());
        own.user = Some("1000:5".parse().unwrap());
        let filled = inherited.fill(&own, "base", &BaseTree::of(&[])).unwrap();
        own.env.insert("B".to_owned(), "base=1".to_owned());
        own.labels.insert("m".to_owned(), "base".to_owned());
        own.health_check.clone_from(&filled.health_check);
        assert_eq!(filled, own);
    }

    #[test]
    fn what_is_said_stays_although_it_is_what_an_image_without_a_base_has() {
        let text = CONFIG.replace(r#""User":"""#, r#""User":"33""#);
        let inherited = Inherited::parse(text.as_bytes()).unwrap();
        let mut own = spec();
        own.working_directory = Some("/".to_owned());
        own.user = Some("0".parse().unwrap());
        own.env.insert("A".to_owned(), String::new());
        let filled = inherited.fill(&own, "base", &BaseTree::of(&[])).unwrap();
        assert_eq!(filled.start_directory(), "/");
        assert_eq!(filled.user.map(|user| user.uid()), Some(0));
        assert_eq!(filled.env["A"], "");
    }

    #[test]
    fn programs_are_found_on_a_base_where_bin_is_a_directory_of_its_own() {
        let tree = BaseTree::of(&["bin/sh", "usr/bin/env"]);
        for (path, expected) in [
            ("/usr/bin", "/usr/bin:/bin"),
            ("/bin", "/bin"),
            ("", "/bin"),
        ] {
            assert_eq!(with_programs(path, &tree), expected);
        }
    }

    #[test]
    fn a_user_of_the_base_that_it_does_not_know_is_refused() {
        let text = CONFIG.replace(r#""User":"""#, r#""User":"www""#);
        let inherited = Inherited::parse(text.as_bytes()).unwrap();
        let error = inherited.fill(&spec(), "base", &BaseTree::of(&[]));
        assert_eq!(
            error.unwrap_err().to_string(),
            "the user `www` of `base` is not in its `/etc/passwd` or `/etc/group`"
        );
    }

    #[test]
    fn the_history_is_about_as_many_layers_as_there_are() {
        let inherited = Inherited::parse(CONFIG.as_bytes()).unwrap();
        assert_eq!(inherited.history(1), inherited.history);
        assert_eq!(inherited.history(3).len(), 3);
        let empty = r#"{"config":null,"history":null}"#;
        let inherited = Inherited::parse(empty.as_bytes()).unwrap();
        assert_eq!(inherited.history(2).len(), 2);
    }
}
