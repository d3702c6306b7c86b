//! Whose signatures are believed, and how that is explained.

use std::error::Error;

use store::testing::{add_tree, open};
use store::trust::{SecretKey, SignatureSet, Signatures, SignedRealisation, Statement};
use store::{MemoryNode, Realisation, ResolvedDigest};
use tests::{Finished, TestEnv};

type TestResult<T = ()> = Result<T, Box<dyn Error>>;

const RESOLVED: &str = "blake3:0707070707070707070707070707070707070707070707070707070707070707";

/// A store with one object, and what two builders have signed of it.
struct Signed {
    env: TestEnv,
    path: String,
    alice: String,
    bob: String,
}

impl Signed {
    fn new(sandbox: &str) -> TestResult<Self> {
        let env = TestEnv::new();
        let store = open(env.store())?;
        let info = add_tree(&store, "hello-1", MemoryNode::file("hello"), &[])?;
        let mut keys = Vec::new();
        for (seed, name) in [(1, "alice"), (2, "bob")] {
            let key = SecretKey::from_seed(name.parse()?, &[seed; 32]);
            let realisation = Realisation {
                resolved: ResolvedDigest::from_bytes([7; 32]),
                output: "out".into(),
                object: info.id,
                path: info.path.clone(),
                sandbox: sandbox.into(),
                built_at: u64::from(seed),
                duration_ms: 1,
            };
            store.add_realisations(std::slice::from_ref(&realisation))?;
            let signatures = Signatures {
                object: SignatureSet::new([key.sign(&Statement::object(&info))])?,
                component: None,
                realisations: vec![SignedRealisation::sign(realisation, &key)],
            };
            store.add_signatures(&[(info.id, signatures)])?;
            keys.push(key.public().to_string());
        }
        Ok(Self {
            env,
            path: info.path.to_logical(),
            bob: keys.remove(1),
            alice: keys.remove(0),
        })
    }

    fn user_settings(&self, text: &str) {
        self.env.write("home/.config/pith/config.toml", text);
    }

    fn project_settings(&self, text: &str) {
        self.env.write("project/pith.star", "");
        self.env.write("project/pith.toml", text);
    }

    fn explain(&self, arguments: &[&str]) -> Finished {
        let command = ["cache", "trust-explain", &self.path];
        self.env.pith(&[&command, arguments].concat())
    }
}

#[test]
fn without_a_trusted_key_nothing_is_believed() -> TestResult {
    let signed = Signed::new("full")?;
    let explained = signed.explain(&[]).expect_status(3);
    let path = &signed.path;
    assert_eq!(
        explained.stdout,
        format!(
            "{path}\nobject: not trusted\n  no key `alice` is trusted\n  no key `bob` is trusted\n  0 of 1 signatures that are needed\n\
             realisation `out` of {RESOLVED}: not trusted\n  no key `alice` is trusted\n  no key `bob` is trusted\n  0 of 1 signatures that are needed\n"
        )
    );
    assert_eq!(
        explained.stderr,
        format!("error: no realisation of `{path}` is trusted\n")
    );
    Ok(())
}

#[test]
fn a_key_of_the_user_or_of_a_flag_is_believed() -> TestResult {
    let signed = Signed::new("full")?;
    let by_flag = signed.explain(&["--trust", &signed.alice]).expect_success();
    signed.user_settings(&format!("[trust]\nkeys = ['{}']\n", signed.alice));
    let by_file = signed.explain(&[]).expect_success();
    assert_eq!(by_flag, by_file);
    let path = &signed.path;
    assert_eq!(
        by_file.stdout,
        format!(
            "{path}\nobject: trusted, signed by alice\n  no key `bob` is trusted\n\
             realisation `out` of {RESOLVED}: trusted, signed by alice\n  no key `bob` is trusted\n"
        )
    );
    let json = signed.explain(&["--json"]).expect_success().json();
    let judgement = serde_json::json!({"accepted": true, "signers": ["alice"], "reasons": ["no key `bob` is trusted"]});
    let mut realisation = judgement.clone();
    realisation["resolved"] = RESOLVED.into();
    realisation["output"] = "out".into();
    assert_eq!(
        json,
        serde_json::json!({"version": 1, "path": path, "object": judgement, "realisations": [realisation]})
    );
    Ok(())
}

#[test]
fn two_builders_must_agree_where_two_are_needed() -> TestResult {
    let signed = Signed::new("full")?;
    signed.user_settings(&format!("[trust]\nkeys = ['{}']\nneed = 2\n", signed.alice));
    let one = signed.explain(&[]).expect_status(3);
    assert!(
        one.stdout.contains("1 of 2 signatures that are needed"),
        "{}",
        one.stdout
    );
    let two = signed.explain(&["--trust", &signed.bob]).expect_success();
    assert!(
        two.stdout.ends_with(": trusted, signed by alice, bob\n"),
        "{}",
        two.stdout
    );
    Ok(())
}

#[test]
fn what_is_over_revoked_or_weak_does_not_count() -> TestResult {
    let signed = Signed::new("no-proc")?;
    let Signed { alice, .. } = &signed;
    for (settings, reason) in [
        (
            format!("keys = [{{ key = '{alice}', until = '2000-01-01' }}]"),
            "the key `alice` was to be trusted until 2000-01-01 only",
        ),
        (
            format!("keys = ['{alice}']\nrevoked = ['alice']"),
            "the key `alice` is revoked",
        ),
        (
            format!("keys = ['{alice}']"),
            "`alice` built it in the sandbox `no-proc`, which is not allowed",
        ),
    ] {
        signed.user_settings(&format!("[trust]\n{settings}\n"));
        let explained = signed.explain(&[]).expect_status(3);
        assert!(explained.stdout.contains(reason), "{}", explained.stdout);
    }
    signed.user_settings(&format!(
        "[trust]\nkeys = ['{alice}']\nsandbox = ['full', 'no-proc']\n"
    ));
    signed.explain(&[]).expect_success();
    Ok(())
}

#[test]
fn a_project_cannot_make_its_users_believe_a_key() -> TestResult {
    let signed = Signed::new("full")?;
    signed.project_settings(&format!("[trust]\nkeys = ['{}']\n", signed.alice));
    let explained = signed.explain(&[]).expect_status(3);
    assert_eq!(
        explained.stderr,
        format!(
            "error: no realisation of `{}` is trusted\nhint: the project offers the key `{}`; if you trust who wrote it, \
             put it under `[trust]` into your own settings, or pass it to `--trust`\n",
            signed.path, signed.alice
        )
    );
    signed.project_settings("[trust]\nsandbox = ['no-proc']\n");
    let refused = signed.explain(&[]).expect_status(2);
    assert!(
        refused
            .stderr
            .contains("sets `sandbox` of `[trust]`, which is not for a project to decide"),
        "{}",
        refused.stderr
    );
    // What it revokes is revoked.
    signed.project_settings("[trust]\nrevoked = ['alice']\n");
    signed.explain(&["--trust", &signed.alice]).expect_status(3);
    Ok(())
}
