//! Packages of Debian: locked, packed, run, and every way in which that can go wrong.

use std::fs;

use tests::debian_repository::{DebianPackage, DebianRepository, SUITE};
use tests::{FileServer, Finished, TestEnv, is_full};

/// A program that needs no library: it writes one line. Debian's own `busybox-static` is the only one in a package, so the
/// tests that run something take it from there.
const SHOWN: &str = "usr/share/app/data";

fn package(name: &str, version: &str) -> DebianPackage {
    DebianPackage::new(name, version)
}

/// An application with two libraries, of which one needs what images do without.
fn packages() -> Vec<DebianPackage> {
    vec![
        package("app", "2:1.0-1")
            .field("Depends", "libone (>= 1.2~), mail-agent | libtwo, adduser")
            .file(SHOWN, "data\n")
            .program("bin/app", b"#!/bin/none\n")
            .file("usr/share/doc/app/copyright", "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: me\nLicense: Expat\n")
            .file("usr/share/doc/app/changelog", "long\n")
            .file("usr/share/man/man1/app.1", "long\n")
            .postinst("#!/bin/sh\nset -e\nU=appuser\nadduser --system --home /var/lib/app \\\n  --group $U\nupdate-alternatives --install /usr/bin/editor editor /usr/bin/app 10\n"),
        package("libone", "1.1").file("lib/libone.so", "old"),
        package("libone", "1.2").field("Depends", "libtwo (= 3.0-1)").file("lib/libone.so", "one").link("lib/libone.so.1", "libone.so"),
        package("libtwo", "3.0-1").file("usr/lib/libtwo.so", "two"),
        package("adduser", "1").program("usr/sbin/adduser", b"no"),
    ]
}

/// A scenario's place with an archive whose key it believes.
pub(super) fn place(repository: &DebianRepository) -> (TestEnv, FileServer) {
    let env = TestEnv::new();
    let server = repository.serve();
    settings(&env, repository, &server);
    (env, server)
}

fn settings(env: &TestEnv, repository: &DebianRepository, server: &FileServer) {
    env.write("home/key.asc", &repository.public_key());
    let text = format!(
        "[mirrors]\nsmall = [\"{}\"]\n[debian]\nsuites = [\"small/{SUITE}\"]\nkeyring = \"{}\"\n",
        server.url(""),
        env.path("home/key.asc").display()
    );
    env.write("home/.config/pith/config.toml", &text);
}

/// Writes what a project would have without a lock file.
fn project(env: &TestEnv) {
    env.write(
        "project/pith.star",
        "image(name = \"app\", packages = [debian([\"app\"])])\n",
    );
}

/// What is said of a failure, with the place of the scenario written `…`.
fn said(env: &TestEnv, finished: Finished, status: i32) -> String {
    let text = finished.expect_status(status).stderr;
    text.replace(&env.path("").display().to_string(), "…/")
}

#[test]
fn a_lock_pins_what_the_signed_index_says_and_is_always_the_same() {
    let repository = DebianRepository::new(&packages());
    let (env, server) = place(&repository);
    env.pith(&["debian", "lock", "app"]).expect_success();
    let lock = fs::read_to_string(env.path("project/debian.lock")).expect("it was written");
    for part in [
        "packages = [\"app\"]",
        "\"adduser\" = \"app\"",
        "version = \"2:1.0-1\"",
        "version = \"1.2\"",
        "depends = [\"libone\", \"libtwo\"]",
        "path = \"pool/main/app/app_1.0-1_amd64.deb\"",
    ] {
        assert!(lock.contains(part), "`{part}` is not in\n{lock}");
    }
    assert_eq!(lock.matches("[[package]]").count(), 3, "{lock}");
    // Without names, what the file asks for is locked again.
    let again = env
        .pith(&["debian", "lock", "--json"])
        .expect_success()
        .json();
    assert_eq!(again["changed"], false);
    env.pith(&["debian", "lock", "--without", "libtwo"])
        .expect_success();
    let less = fs::read_to_string(env.path("project/debian.lock")).expect("it was written");
    assert!(
        less.contains("\"libtwo\" = \"app\"") && !less.contains("name = \"libtwo\""),
        "{less}"
    );
    drop(server);
}

#[test]
fn a_locked_image_is_packed_without_the_index_and_lies_at_the_root() {
    let repository = DebianRepository::new(&packages());
    let (env, server) = place(&repository);
    project(&env);
    env.pith(&["debian", "lock", "app"]).expect_success();
    let root = env.path("root");
    let output = root.to_str().expect("temporary paths are UTF-8");
    // The program is a script without an interpreter.
    env.pith(&["pack", "app", "-f", "dir", "-o", output, "--no-check"])
        .expect_success();
    let read = |name: &str| {
        fs::read_to_string(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let link = |name: &str| {
        fs::read_link(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    assert_eq!(read(SHOWN), "data\n");
    // Merged /usr: what packages have below /lib and /bin is below /usr, and the links lead there.
    assert_eq!(link("lib").to_str(), Some("usr/lib"));
    assert_eq!(read("lib/libone.so.1"), "one");
    assert_eq!(
        link("usr/bin/editor").to_str(),
        Some("/etc/alternatives/editor")
    );
    assert_eq!(
        link("etc/alternatives/editor").to_str(),
        Some("/usr/bin/app")
    );
    assert!(read("etc/passwd").contains(":/var/lib/app:"));
    assert!(read("usr/share/doc/app/copyright").contains("Expat"));
    assert!(
        !root.join("usr/share/man").exists() && !root.join("usr/share/doc/app/changelog").exists()
    );
    assert!(!root.join("usr/sbin/adduser").exists() && !root.join("pith").exists());
    assert!(read("var/lib/dpkg/status.d/libone").contains("Version: 1.2"));
    let sbom = read("usr/share/sbom/app.spdx.json");
    for part in [
        "pkg:deb/debian/app@2%3A1.0-1?arch=amd64&distro=bookworm",
        "\"licenseDeclared\":\"MIT\"",
    ] {
        assert!(sbom.contains(part), "`{part}` is not in\n{sbom}");
    }
    // The lock and the store are enough.
    drop(server);
    let archive = |name: &str| {
        let path = env.path(name);
        let path = path.to_str().expect("temporary paths are UTF-8");
        let pack = ["pack", "app", "--offline", "--no-check", "--json", "-o"];
        env.pith(&[&pack[..], &[path]].concat())
            .expect_success()
            .json()
    };
    let first = archive("one.tar");
    assert_eq!(first["manifest"], archive("two.tar")["manifest"]);
    let single = env.path("single.tar");
    let single = single.to_str().expect("temporary paths are UTF-8");
    env.pith(&[
        "pack",
        "app",
        "--offline",
        "--no-check",
        "--max-layers",
        "1",
        "-o",
        single,
    ])
    .expect_success();
    for name in ["one.tar", "single.tar"] {
        no_layer_has_a_path_twice(&env, name);
    }
}

/// Engines refuse a layer that has a path twice, even a directory.
fn no_layer_has_a_path_twice(env: &TestEnv, archive: &str) {
    let unpacked = env.path(&format!("{archive}.d"));
    fs::create_dir(&unpacked).expect("the place is ours");
    let (archive, directory) = (
        env.path(archive),
        unpacked.to_str().expect("temporary paths are UTF-8"),
    );
    let archive = archive.to_str().expect("temporary paths are UTF-8");
    env.tool("tar", &["-xf", archive, "-C", directory])
        .expect_success();
    let manifest =
        fs::read_to_string(unpacked.join("manifest.json")).expect("it is an archive for docker");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("it is JSON");
    for layer in manifest[0]["Layers"].as_array().expect("it has layers") {
        let blob = unpacked.join(layer.as_str().expect("a layer has a name"));
        let listed = env.tool(
            "tar",
            &["-tzf", blob.to_str().expect("temporary paths are UTF-8")],
        );
        let mut names: Vec<String> = listed
            .expect_success()
            .stdout
            .lines()
            .map(str::to_owned)
            .collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{names:#?}");
    }
}

#[test]
fn a_target_without_a_lock_is_resolved_now_and_a_project_keeps_the_result() {
    let repository = DebianRepository::new(&packages());
    let (env, server) = place(&repository);
    let built = env.pith(&["build", "debian:app"]).expect_success();
    assert!(
        built
            .stderr
            .contains("resolved against bookworm of 2020-07-11"),
        "{}",
        built.stderr
    );
    assert!(!env.path("project/debian.lock").exists());
    project(&env);
    env.pith(&["build", "debian:app"]).expect_success();
    assert!(env.path("project/debian.lock").exists());
    drop(server);
    let again = env
        .pith(&["build", "debian:app", "--offline"])
        .expect_success();
    assert_eq!(again.stdout, built.stdout);
    let error = said(&env, env.pith(&["build", "debian:libx"]), 1);
    assert_eq!(
        error,
        "error: `…/project/debian.lock` does not lock `libx`\nhint: `pith debian lock app libx` locks it too\n"
    );
}

#[test]
fn an_index_that_is_not_signed_by_a_known_key_is_not_believed() {
    let mut repository = DebianRepository::new(&packages());
    let release = format!("dists/{SUITE}/InRelease");
    let good = repository.files[&release].clone();
    let text = String::from_utf8(good.clone()).expect("it is text");
    let unsigned = text
        .lines()
        .skip(3)
        .take_while(|line| !line.starts_with("-----"))
        .collect::<Vec<_>>()
        .join("\n");
    let other = DebianRepository::new(&packages());
    let cases = [
        (
            unsigned.into_bytes(),
            "error: `dists/bookworm/InRelease` is not signed\n",
        ),
        (
            text.replace("Origin: Test", "Origin: Evil").into_bytes(),
            "the text was changed, or signed by something else",
        ),
        (other.files[&release].clone(), "it is not in the keyring"),
        (
            text.replace("-----END PGP SIGNATURE-----", "").into_bytes(),
            "error: `dists/bookworm/InRelease` is damaged: its signature cannot be read",
        ),
    ];
    for (bytes, part) in cases {
        repository.files.insert(release.clone(), bytes);
        let (env, _server) = place(&repository);
        let error = said(&env, env.pith(&["debian", "lock", "app"]), 4);
        assert!(error.contains(part), "`{part}` is not in\n{error}");
        assert!(!env.path("project/debian.lock").exists());
    }
}

#[test]
fn an_index_that_has_expired_or_is_another_is_refused() {
    let mut repository = DebianRepository::new(&packages());
    repository.fill(&packages(), Some("Sat, 18 Jul 2020 10:16:37 UTC"));
    let (env, _server) = place(&repository);
    let error = said(&env, env.pith(&["debian", "lock", "app"]), 1);
    let expected = "error: the index of `bookworm` has expired: it was valid until 2020-07-18T10:16:37Z, and it is ";
    assert!(error.starts_with(expected), "{error}");

    let mut repository = DebianRepository::new(&packages());
    let packages_file = format!("dists/{SUITE}/main/binary-amd64/Packages.xz");
    repository
        .files
        .insert(packages_file, b"other bytes".to_vec());
    let (env, _server) = place(&repository);
    let error = said(&env, env.pith(&["debian", "lock", "app"]), 102);
    assert!(error.contains("(dists/bookworm/InRelease:9:1)"), "{error}");

    let wrong = DebianRepository::new(&packages());
    let (env, _server) = place(&wrong);
    let error = said(
        &env,
        env.pith(&["debian", "lock", "app", "--suite", "small/trixie"]),
        1,
    );
    assert!(error.contains("404"), "{error}");
}

#[test]
fn a_request_that_cannot_be_met_is_one_error_with_the_chain() {
    let mut all = packages();
    all.push(package("broken", "1").field("Depends", "middle"));
    all.push(package("middle", "1").field("Depends", "libone (>= 9) | nowhere"));
    all.push(
        package("enemy", "1")
            .field("Depends", "libone")
            .field("Conflicts", "libtwo (<< 4)"),
    );
    let repository = DebianRepository::new(&all);
    let (env, _server) = place(&repository);
    let error = |names: &[&str]| {
        let arguments = [&["debian", "lock", "-q"], names].concat();
        said(&env, env.pith(&arguments), 1)
    };
    assert_eq!(
        error(&["ap"]),
        "error: Debian has no package `ap` in bookworm\nhint: did you mean `app`?\n"
    );
    assert_eq!(
        error(&["broken"]),
        "error: nothing satisfies `libone (>= 9) | nowhere`: the latest `libone` is 1.2, there is no `nowhere`\n  needed by broken → middle\nhint: `--without NAME` leaves a package out although something depends on it\n"
    );
    assert_eq!(
        error(&["enemy"]),
        "error: `enemy` excludes `libtwo` (Conflicts: libtwo (<< 4))\n  enemy is needed by enemy\n  libtwo is needed by enemy → libone → libtwo\n"
    );
}

#[test]
fn a_file_of_two_packages_is_one_error_that_names_both() {
    let all = [
        package("app", "1")
            .field("Depends", "lib")
            .file("lib/x/data", "one"),
        package("lib", "2").file("usr/lib/x/data", "two"),
    ];
    let repository = DebianRepository::new(&all);
    let (env, _server) = place(&repository);
    let error = said(&env, env.pith(&["build", "-q", "debian:app"]), 1);
    assert!(
        error.contains("both `app-1` and `lib-2` have `/usr/lib/x/data`"),
        "{error}"
    );
}

#[test]
fn a_lock_file_that_is_wrong_is_one_error_with_its_line() {
    let repository = DebianRepository::new(&packages());
    let (env, _server) = place(&repository);
    project(&env);
    env.pith(&["debian", "lock", "app"]).expect_success();
    let lock = fs::read_to_string(env.path("project/debian.lock")).expect("it was written");
    let line = |part: &str| {
        lock.lines()
            .position(|line| line.starts_with(part))
            .expect("it is there")
            + 1
    };
    let without_two = lock
        .split("\n[[package]]\nname = \"libtwo\"")
        .next()
        .expect("there is a beginning");
    let sha = lock
        .lines()
        .find(|line| line.starts_with("sha256"))
        .expect("a package has one");
    let cases = [
        (
            lock.replace("version = 1\n", "version = 7\n"),
            2,
            "this lock file has version 7, and this pith reads versions up to 2".to_owned(),
        ),
        (
            without_two.to_owned(),
            line("depends"),
            "`libtwo` is needed by `app` but not locked".to_owned(),
        ),
        (
            lock.replace(sha, "sha256 = \"12\""),
            line("sha256"),
            "`sha256` has 2 characters instead of 64 hexadecimal digits: `12`".to_owned(),
        ),
        (
            lock.replace("packages = [\"app\"]", "packages = [\"appp\"]"),
            4,
            "`appp` is needed but not locked".to_owned(),
        ),
        (
            format!("{lock}colour = 1\n"),
            lock.lines().count() + 1,
            "unknown field `colour`".to_owned(),
        ),
    ];
    for (text, line, problem) in cases {
        env.write("project/debian.lock", &text);
        let by_target = said(&env, env.pith(&["build", "-q", "debian:app"]), 1);
        let expected = format!("error: …/project/debian.lock:{line}: {problem}");
        assert!(
            by_target.starts_with(&expected),
            "expected\n{expected}\nfound\n{by_target}"
        );
        let by_recipe = said(&env, env.pith(&["pack", "app"]), 1);
        let expected = format!("debian.lock:{line}: {problem}");
        assert!(
            by_recipe.contains(&expected) && by_recipe.contains("pith.star:1:"),
            "{by_recipe}"
        );
    }
    let swapped = lock.replace(sha, &format!("sha256 = \"{}\"", "0".repeat(64)));
    env.write("project/debian.lock", &swapped);
    let error = said(&env, env.pith(&["pack", "app"]), 102);
    assert!(
        error.contains("has the wrong digest") && error.contains("pith.star:1:"),
        "{error}"
    );
    fs::remove_file(env.path("project/debian.lock")).expect("it is ours");
    let error = said(&env, env.pith(&["pack", "app"]), 1);
    assert!(
        error.contains("needs the lock file `debian.lock`, which is not there"),
        "{error}"
    );
}

/// Packs a package of Debian and returns the name of the image that podman has now.
fn load(env: &TestEnv, package: &str) -> String {
    let image = format!("pith-test-{}", package.replace(',', "-"));
    env.pack_and_load(&[&format!("debian:{package}"), "-n", &image]);
    image
}

/// What an image says when it is run with arguments.
fn image_says(env: &TestEnv, image: &str, options: &[&str], arguments: &[&str]) -> String {
    let all = [&["--network=none"], options, &[image], arguments].concat();
    env.podman_run(&all).expect_success().stdout
}

#[test]
fn a_server_of_debian_does_its_work_in_an_image_and_in_a_namespace() {
    let env = TestEnv::with_shared_store();
    let script = "redis-server --port 0 --unixsocket /tmp/s > /tmp/log & n=0; until redis-cli -s /tmp/s PING > /dev/null 2>&1; do n=$((n+1)); [ $n -lt 5000 ] || exit 1; done; redis-cli -s /tmp/s SET a 41 > /dev/null; redis-cli -s /tmp/s INCR a; redis-cli -s /tmp/s SHUTDOWN NOSAVE";
    let image = load(&env, "redis-server,dash");
    let said = image_says(&env, &image, &["--entrypoint", "/bin/sh"], &["-c", script]);
    assert_eq!(said, "42\n");
    env.remove_image(&image);
    let ran = env.pith(&[
        "run",
        "-q",
        "debian:redis-server,dash",
        "-p",
        "sh",
        "--",
        "-c",
        script,
    ]);
    assert_eq!(ran.expect_success().stdout, "42\n");
}

#[test]
fn a_shell_has_packages_of_debian_at_the_root_and_others_beside_them() {
    let env = TestEnv::with_shared_store();
    let set = "debian:redis-server,dash";
    let script = "redis-cli --version && jq -n 6*7 && pwd && : > /tmp/file";
    let said = env
        .pith(&["shell", "-q", "jq", set, "--", "sh", "-c", script])
        .expect_success()
        .stdout;
    let expected = format!("\n42\n{}\n", env.path("project").display());
    assert!(said.starts_with("redis-cli "), "{said}");
    assert!(said.ends_with(&expected), "{said}");

    let refused = env.pith(&["shell", "-q", "--host", set, "--", "true"]);
    let refused = refused.expect_status(1).stderr;
    assert!(refused.contains("without --host"), "{refused}");
    let refused = env.pith(&["shell", "-q", set, "debian:dash", "--", "true"]);
    let refused = refused.expect_status(1).stderr;
    assert!(refused.contains("`debian:A,B`"), "{refused}");
}

#[test]
fn eight_packages_do_their_work() {
    if !is_full() {
        return;
    }
    let env = TestEnv::with_shared_store();
    let says = |package: &str, options: &[&str], arguments: &[&str]| {
        let image = load(&env, package);
        let said = image_says(&env, &image, options, arguments);
        env.remove_image(&image);
        said
    };
    assert_eq!(
        says("curl", &[], &["-sS", "file:///etc/debian_version"]),
        "12\n"
    );
    let python = "import ssl, sqlite3, ctypes, lzma; print(sqlite3.connect(':memory:').execute('select 6*7').fetchone()[0])";
    assert_eq!(says("python3", &[], &["-c", python]), "42\n");
    assert_eq!(
        says(
            "nodejs",
            &[],
            &["-p", "new Intl.NumberFormat('de').format(1234.5)"]
        ),
        "1.234,5\n"
    );
    let git = "cd /tmp && git init -q r && cd r && echo hi > a && git add a && git -c user.name=a -c user.email=a@b commit -qm first && git clone -q . ../c && git -C ../c log --format=%s";
    assert_eq!(
        says("git", &["--entrypoint", "/bin/sh"], &["-c", git]),
        "first\n"
    );
    env.write("java/Roots.java", "public class Roots { public static void main(String[] a) throws Exception { var f = javax.net.ssl.TrustManagerFactory.getInstance(\"PKIX\"); f.init((java.security.KeyStore) null); System.out.println(((javax.net.ssl.X509TrustManager) f.getTrustManagers()[0]).getAcceptedIssuers().length > 100); } }");
    let roots = says(
        "openjdk-17-jre-headless",
        &["--entrypoint", "/usr/bin/keytool"],
        &["-list", "-cacerts", "-storepass", "changeit"],
    );
    assert!(roots.contains("Your keystore contains 1"), "{roots}");
    let postgres = "initdb -D /tmp/d > /dev/null && pg_ctl -D /tmp/d -w -o '-k /tmp' start > /dev/null && psql -h /tmp -Atc 'select 6 * 7' postgres && pg_ctl -D /tmp/d -w stop > /dev/null";
    assert_eq!(
        says(
            "postgresql-15",
            &["--entrypoint", "/bin/sh"],
            &["-c", postgres]
        ),
        "42\n"
    );
    assert_eq!(
        says("nginx", &["--entrypoint", "/usr/sbin/nginx"], &["-t", "-q"]),
        ""
    );
}

#[test]
fn packages_of_debian_may_be_shipped_by_the_built_in_policy() {
    let env = TestEnv::with_shared_store();
    for target in ["debian:nginx", "debian:jq", "debian:redis-server"] {
        let said = env.pith(&["audit", target, "-q"]).expect_success().stdout;
        assert!(said.contains("components: may be shipped"), "{said}");
    }
}

#[test]
fn a_license_that_only_people_can_read_is_undecided_until_what_is_shown_is_put_into_the_policy() {
    let prose = "This is free. Do what you want with it.\n";
    let repository = DebianRepository::new(&[
        package("app", "1.0-1")
            .field("Source", "suite")
            .field("Depends", "suite-base, odd")
            .program("usr/bin/app", b"app"),
        package("suite-base", "1.0-1")
            .field("Source", "suite")
            .file("usr/share/doc/suite-base/copyright", prose),
        package("odd", "1.0-1").file(
            "usr/share/doc/odd/copyright",
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: me\nLicense: odd\n",
        ),
    ]);
    let (env, _server) = place(&repository);
    let undecided = env.pith(&["audit", "debian:app", "-q"]).expect_status(3);
    let said = undecided.stdout;
    for line in [
        "undecided[L106]: `app-1.0-1` says its license in `usr/share/doc/suite-base/copyright`, in prose",
        "error[L112]: `odd-1.0-1` is under `LicenseRef-Debian-odd`",
    ] {
        assert!(said.contains(line), "{said}");
    }
    // What stands there is put into a policy, with what only a person can say.
    let shown = said.lines().map(str::trim);
    let pasted: Vec<&str> = shown
        .filter(|line| {
            let key = line.split(' ').next().unwrap_or_default();
            ["[[clarify]]", "notice", "expression", "reason", "owner"].contains(&key)
        })
        .collect();
    let pasted = pasted
        .join("\n")
        .replace("expression = \"…\"", "expression = \"MIT\"");
    // `app` and `suite-base` say it in the same words.
    let (first, rest) = pasted
        .split_once("[[clarify]]\n")
        .map_or(("", ""), |(_, text)| {
            text.split_once("[[clarify]]\n").unwrap_or((text, ""))
        });
    let second = rest
        .split("[[clarify]]\n")
        .find(|text| text.lines().next() != first.lines().next());
    let clarifications = [Some(first), second].into_iter().flatten();
    let policy: String = clarifications
        .map(|text| format!("[[clarify]]\n{text}\n"))
        .collect();
    env.write("project/policy.toml", &policy);
    let said = env.pith(&["audit", "debian:app", "-q", "--policy", "policy.toml"]);
    let said = said.expect_success().stdout;
    assert!(said.contains("may be shipped"), "{said}\n{policy}");
}
