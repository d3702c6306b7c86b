//! What a user reads about each thing that can be wrong with one recipe: exact texts.

use crate::support::{TestResult, assert_reads, error_of, error_with};
use snapbox::str;

#[test]
fn syntax_error_shows_where_the_parser_stopped() -> TestResult {
    let error = error_of(
        r#"x = derivation(
    name = "x"
    version = "1",
)
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:3:5: unexpected identifier 'version', expected symbol ')'
  3 |     version = "1",
    |     ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn unclosed_bracket() -> TestResult {
    let error = error_of(
        r#"x = derivation(
    name = "x",
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:3:1: unexpected new line, expected expression
  3 | 
    | ^
hint: the `(` in line 1 is never closed

"#]],
    );
    Ok(())
}

#[test]
fn bad_indentation() -> TestResult {
    let error = error_of(
        r#"def f():
  x = 1
 y = 2
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:3:1: incorrect indentation
  3 |  y = 2
    | ^

"#]],
    );
    Ok(())
}

#[test]
fn tab_is_refused() -> TestResult {
    let error = error_of("def f():\n\tpass\n")?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:2:1: tabs are not allowed
  2 |  pass
    | ^

"#]],
    );
    Ok(())
}

#[test]
fn unknown_field_of_a_built_in() -> TestResult {
    let error = error_of(
        r#"x = derivation(
    name = "x",
    builder = ["/bin/sh"],
    licence = "MIT",
)
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:4:5: `derivation` has no field `licence`
  4 |     licence = "MIT",
    |     ^^^^^^^
hint: did you mean `license`?

"#]],
    );
    Ok(())
}

#[test]
fn unknown_field_far_from_any() -> TestResult {
    let error = error_of(
        r#"x = fetch(urls = ["https://a/b"], sha256 = "SHA256", flavour = 1)
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:112: `fetch` has no field `flavour`
  1 | 382de95a7ef7d914b8cb956f41ea72e0f516b", flavour = 1)
    |                                         ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn missing_field() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x")
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:5: `derivation` needs the field `builder`
  1 | x = derivation(name = "x")
    |     ^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn wrong_type_of_a_field() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = "/bin/sh")
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:28: `builder` of `derivation` must be a list of strings and packages, not a string
  1 | x = derivation(name = "x", builder = "/bin/sh")
    |                            ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn wrong_type_inside_a_list() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh", ["-c"]])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:28: `builder` of `derivation` must be a list of strings and packages, but has a list in it
  1 | x = derivation(name = "x", builder = ["/bin/sh", ["-c"]])
    |                            ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn license_must_be_a_string() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], license = ["MIT"])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: `license` of `derivation` must be a string, not a list
  1 | x = derivation(name = "x", builder = ["/bin/sh"], license = ["MIT"])
    |                                                   ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn wrong_type_of_a_variable() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], env = {"A": {}})
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: `env` of `derivation` must be a dict of strings, packages, numbers and lists of these, but has a dict in it
  1 | x = derivation(name = "x", builder = ["/bin/sh"], env = {"A": {}})
    |                                                   ^^^

"#]],
    );
    Ok(())
}

#[test]
fn too_many_arguments_without_name() -> TestResult {
    let error = error_of(
        r#"x = derivation("x", ["/bin/sh"])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:5: at most 1 of the arguments of `derivation` may stand without a name, but 2 do
  1 | x = derivation("x", ["/bin/sh"])
    |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn field_given_twice() -> TestResult {
    let error = error_of(
        r#"x = derivation("x", name = "x", builder = ["/bin/sh"])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:21: `derivation` is given `name` twice
  1 | x = derivation("x", name = "x", builder = ["/bin/sh"])
    |                     ^^^^

"#]],
    );
    Ok(())
}

#[test]
fn invalid_store_name() -> TestResult {
    let error = error_of(
        r#"x = derivation(
    name = "x y",
    builder = ["/bin/sh"],
)
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:2:5: `name` of `derivation` is `x y`, which cannot name a store object: letters, digits and `+._?=-`, at most 200, no dot first
  2 |     name = "x y",
    |     ^^^^

"#]],
    );
    Ok(())
}

#[test]
fn invalid_version() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", version = "1/2", builder = ["/bin/sh"])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:28: `version` of `derivation` is `1/2`, which cannot name a store object: letters, digits and `+._?=-`, at most 200, no dot first
  1 | x = derivation(name = "x", version = "1/2", builder = ["/bin/sh"])
    |                            ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn name_too_long() -> TestResult {
    let error = error_of(&format!(
        "x = derivation(name = \"{}\", version = \"{}\", builder = [])\n",
        "a".repeat(150),
        "1".repeat(60)
    ))?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:16: `name` of `derivation` is too long with its version
  1 | x = derivation(name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    |                ^^^^

"#]],
    );
    Ok(())
}

#[test]
fn fetch_without_digest() -> TestResult {
    let error = error_of(
        r#"src = fetch(urls = ["https://example.org/a.tar.gz"])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:7: `fetch` needs the digest of what it fetches: `sha256`, `sha512`, `blake3` or `integrity`
  1 | src = fetch(urls = ["https://example.org/a.tar.gz"])
    |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
hint: `sha256sum FILE` prints it; take it from the publisher where there is one

"#]],
    );
    Ok(())
}

#[test]
fn fetch_with_both_digests() -> TestResult {
    let error = error_of(
        r#"src = fetch(
    urls = ["https://example.org/a.tar.gz"],
    sha256 = "SHA256",
    blake3 = "SHA256",
)
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:4:5: `fetch` takes one digest, not both `sha256` and `blake3`
  4 |     blake3 = "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b",
    |     ^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn sha256_too_short() -> TestResult {
    let error = error_of(
        r#"src = fetch(
    urls = ["https://example.org/a.tar.gz"],
    sha256 = "31e0",
)
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:3:5: `sha256` has 4 characters instead of 64 hexadecimal digits: `31e0`
  3 |     sha256 = "31e0",
    |     ^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn sha256_with_a_wrong_character() -> TestResult {
    let error = error_of(
        r#"src = fetch(urls = ["https://a/b"], sha256 = "000000000000000000000000000000000000000000000000000000000000000z")
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:37: `sha256` has the character `z`, which is no hexadecimal digit: `000000000000000000000000000000000000000000000000000000000000000z`
  1 | src = fetch(urls = ["https://a/b"], sha256 = "000000000000000000000000000000000000000000000000000000000000000z")
    |                                     ^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn url_without_scheme() -> TestResult {
    let error = error_of(
        r#"src = fetch(urls = ["example.org/a.tar.gz"], sha256 = "SHA256")
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:13: `urls` of `fetch` has `example.org/a.tar.gz`, which is no URL: write `https://…` or `mirror://NAME/…`
  1 | src = fetch(urls = ["example.org/a.tar.gz"], sha256 = "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b"
    |             ^^^^

"#]],
    );
    Ok(())
}

#[test]
fn url_without_file_name() -> TestResult {
    let error = error_of(
        r#"src = fetch(urls = ["https://example.org/"], sha256 = "SHA256")
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:13: `urls` of `fetch` has `https://example.org/`, which ends in no file name: say `name = …`
  1 | src = fetch(urls = ["https://example.org/"], sha256 = "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b"
    |             ^^^^

"#]],
    );
    Ok(())
}

#[test]
fn no_urls() -> TestResult {
    let error = error_of(
        r#"src = fetch(urls = [], sha256 = "SHA256")
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:13: a fetch needs at least one URL
  1 | src = fetch(urls = [], sha256 = "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b")
    |             ^^^^

"#]],
    );
    Ok(())
}

#[test]
fn undeclared_input() -> TestResult {
    let error = error_of(
        r#"x = derivation(
    name = "x",
    builder = ["/pith/store/0123456789abcdfghijklmnpqrsvwxyz01234567-bash-5.2/bin/bash", "-c", "true"],
)
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:3:5: `/pith/store/0123456789abcdfghijklmnpqrsvwxyz01234567-bash-5.2` is no input of this derivation: it is a literal store path, not the value of a package
  3 |     builder = ["/pith/store/0123456789abcdfghijklmnpqrsvwxyz01234567-bash-5.2/bin/bash", "-c", "true"],
    |     ^^^^^^^
hint: use the value of the package instead: `package("…")`, or one of its outputs

"#]],
    );
    Ok(())
}

#[test]
fn undeclared_input_in_a_variable() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], env = {"P": "a:/pith/store/0123456789abcdfghijklmnpqrsvwxyz01234567-bash-5.2/bin"})
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: `/pith/store/0123456789abcdfghijklmnpqrsvwxyz01234567-bash-5.2` is no input of this derivation: it is a literal store path, not the value of a package
  1 | tion(name = "x", builder = ["/bin/sh"], env = {"P": "a:/pith/store/0123456789abcdfghijklmnpqrsvwxyz01234567-bash-5.2/bin
    |                                         ^^^
hint: use the value of the package instead: `package("…")`, or one of its outputs

"#]],
    );
    Ok(())
}

#[test]
fn unknown_name() -> TestResult {
    let error = error_of(
        r#"y = 1
x = derivaton(name = "x")
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:2:5: there is nothing named `derivaton`
  2 | x = derivaton(name = "x")
    |     ^^^^^^^^^
hint: did you mean `derivation`?

"#]],
    );
    Ok(())
}

#[test]
fn unknown_attribute() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], outputs = ["out", "dev"])
y = x.dve
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:2:5: a value of type `package` has no attribute `dve`
  2 | y = x.dve
    |     ^^^^^
hint: did you mean `dev`?

"#]],
    );
    Ok(())
}

#[test]
fn wrong_operation() -> TestResult {
    let error = error_of(
        r#"x = 1 + "a"
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:5: operation `+` not supported for types `int` and `string`
  1 | x = 1 + "a"
    |     ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn fail_says_what_the_recipe_says() -> TestResult {
    let error = error_of(
        r#"def f(x):
    fail("no such thing:", x)

f("a")
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:2:5: no such thing: a
  2 |     fail("no such thing:", x)
    |     ^^^^^^^^^^^^^^^^^^^^^^^^^
  called from //x/recipe.star:4:1

"#]],
    );
    Ok(())
}

#[test]
fn index_out_of_range() -> TestResult {
    let error = error_of(
        r#"x = [1, 2][5]
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:5: index `5` is out of bound
  1 | x = [1, 2][5]
    |     ^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn missing_key() -> TestResult {
    let error = error_of(
        r#"x = {"a": 1}["b"]
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:5: key `"b"` was not found
  1 | x = {"a": 1}["b"]
    |     ^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn division_by_zero() -> TestResult {
    let error = error_of(
        r#"x = 1 // 0
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:5: floor division by zero: 1 // 0
  1 | x = 1 // 0
    |     ^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn output_with_a_bad_name() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], outputs = ["Out"])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: `Out` is no name of an output: it must be lower-case letters, digits and `_`, at most 32, a letter first
  1 | x = derivation(name = "x", builder = ["/bin/sh"], outputs = ["Out"])
    |                                                   ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn output_named_as_an_attribute() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], outputs = ["out", "version"])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: `outputs` of `derivation` has `version`, which is an attribute of every package
  1 | x = derivation(name = "x", builder = ["/bin/sh"], outputs = ["out", "version"])
    |                                                   ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn output_named_twice() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], outputs = ["out", "out"])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: the output `out` is named twice
  1 | x = derivation(name = "x", builder = ["/bin/sh"], outputs = ["out", "out"])
    |                                                   ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn variable_with_a_bad_name() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], env = {"A-B": "1"})
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: `A-B` is no name of an environment variable: it must be letters, digits and `_`, no digit first
  1 | x = derivation(name = "x", builder = ["/bin/sh"], env = {"A-B": "1"})
    |                                                   ^^^

"#]],
    );
    Ok(())
}

#[test]
fn variable_named_as_an_output() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], env = {"out": "1"})
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: the environment variable `out` is the output's: the build finds its path there
  1 | x = derivation(name = "x", builder = ["/bin/sh"], env = {"out": "1"})
    |                                                   ^^^

"#]],
    );
    Ok(())
}

#[test]
fn empty_builder() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = [])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:28: the builder is empty; its first element is the program
  1 | x = derivation(name = "x", builder = [])
    |                            ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn unknown_platform() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], platform = "sparc-sunos")
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: `sparc-sunos` is no platform; pith knows `aarch64-linux` and `x86_64-linux`
  1 | x = derivation(name = "x", builder = ["/bin/sh"], platform = "sparc-sunos")
    |                                                   ^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn timeout_must_be_above_zero() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], timeout = 0)
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: `timeout` of `derivation` must be above zero, not 0
  1 | x = derivation(name = "x", builder = ["/bin/sh"], timeout = 0)
    |                                                   ^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn seed_must_be_an_output() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], seed = "/usr")
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: `seed` of `derivation` names `/usr`, which is not the path of an output
  1 | x = derivation(name = "x", builder = ["/bin/sh"], seed = "/usr")
    |                                                   ^^^^

"#]],
    );
    Ok(())
}

#[test]
fn nul_in_a_variable() -> TestResult {
    let error = error_of(
        r#"x = derivation(name = "x", builder = ["/bin/sh"], env = {"A": "a\0b"})
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:51: `A` holds a NUL character, which no argument or variable can
  1 | x = derivation(name = "x", builder = ["/bin/sh"], env = {"A": "a\0b"})
    |                                                   ^^^

"#]],
    );
    Ok(())
}

#[test]
fn endless_loop_ends() -> TestResult {
    let error = error_of(
        r#"def f():
    for i in range(1000000):
        pass

f()
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:2:5: the recipe takes more than 20000 steps; is there an endless loop?
  2 |     for i in range(1000000):
    |     ^^^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn endless_recursion_ends() -> TestResult {
    let error = error_of(
        r#"def f(n):
    return f(n + 1)

x = f(0)
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:2:12: the recipe calls functions more than 50 deep; is there an endless recursion?
  2 |     return f(n + 1)
    |            ^^^^^^^^
  called from //x/recipe.star:4:5

"#]],
    );
    Ok(())
}

#[test]
fn huge_range_is_refused() -> TestResult {
    let error = error_of(
        r#"x = list(range(2000000000))
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:10: the range has more than 1000000 elements
  1 | x = list(range(2000000000))
    |          ^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn huge_product_is_refused() -> TestResult {
    let error = error_of(
        r#"x = "a" * 2000000000
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:5: the product has more than 1048576 elements
  1 | x = "a" * 2000000000
    |     ^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn heap_is_bounded() -> TestResult {
    let error = error_of(
        r#"x = ["a" * 1000000 + str(i) for i in range(2000)]
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:1: the recipe takes more than 16777216 bytes of memory
  1 | x = ["a" * 1000000 + str(i) for i in range(2000)]
    | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn doubling_without_a_loop_is_bounded() -> TestResult {
    let error = error_of(&format!(
        "s = \"a\" * 1000000\n{}",
        "s = s + s\n".repeat(40)
    ))?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:6:1: the recipe takes more than 16777216 bytes of memory
  6 | s = s + s
    | ^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn multiplying_in_place_is_not_part_of_the_language() -> TestResult {
    let error = error_of(
        r#"x = 1
x *= 2
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:2:1: recipes have no `*=`; write `x = x * …`
  2 | x *= 2
    | ^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn nesting_bomb_is_refused() -> TestResult {
    let error = error_of(&format!("x = {}{}\n", "(".repeat(300), ")".repeat(300)))?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:204: the expression is nested more than 200 deep
  1 | ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((
    |                                         ^

"#]],
    );
    Ok(())
}

#[test]
fn assignment_to_a_frozen_value() -> TestResult {
    let error = error_with(&[
        ("collection/lib/a.star", "a = []\n"),
        (
            "collection/x/recipe.star",
            r#"load("//lib/a.star", "a")
a.append(1)
"#,
        ),
    ])?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:2:1: this value cannot be changed any more: it belongs to a file that was loaded
  2 | a.append(1)
    | ^^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn package_takes_a_string() -> TestResult {
    let error = error_of(
        r#"x = package(1)
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:5: `name` of `package` must be a string, not a number
  1 | x = package(1)
    |     ^^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn debs_link_out_of_the_tree() -> TestResult {
    let error = error_of(
        r#"x = debs(name = "x", debs = [], links = {"../a": "b"})
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:33: `links` of `debs` has `../a`, which is no place in the tree
  1 | x = debs(name = "x", debs = [], links = {"../a": "b"})
    |                                 ^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn path_below_an_output_is_no_input() -> TestResult {
    let error = error_of(
        r#"y = derivation(name = "y", builder = ["/bin/sh"])
x = derivation(name = "x", builder = ["/bin/sh"], inputs = ["%s/bin" % y])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:2:51: `inputs` of `derivation` names `/pith/store/fd2viaagzky9f18wplwzki80z22zhbjxvk4j1lf6-y/bin`, which is not the path of an output
  2 | x = derivation(name = "x", builder = ["/bin/sh"], inputs = ["%s/bin" % y])
    |                                                   ^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn control_characters_do_not_reach_the_terminal() -> TestResult {
    let error = error_of("x = fetch(urls = [\"\x1b[31m\"], sha256 = \"SHA256\")\n")?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:11: `urls` of `fetch` has `\u{1b}[31m`, which is no URL: write `https://…` or `mirror://NAME/…`
  1 | x = fetch(urls = ["�[31m"], sha256 = "31e066137a962676e89f69d1b65382de95a7ef7d914b8cb956f41ea72e0f516b")
    |           ^^^^

"#]],
    );
    Ok(())
}

#[test]
fn long_line_is_cut_around_the_place() -> TestResult {
    let error = error_of(&format!("x = [{0} derivaton(), {0}]\n", "1, ".repeat(100)))?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:307: there is nothing named `derivaton`
  1 | 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  derivaton(), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
    |                                         ^^^^^^^^^
hint: did you mean `derivation`?

"#]],
    );
    Ok(())
}

#[test]
fn smoke_must_be_a_list_or_dict() -> TestResult {
    let error = error_of(
        r#"x = derivation("x", builder = ["/bin/sh"], smoke = "bin/x")
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:44: `smoke` of `derivation` must be a list of commands, or a dict of commands and what they say, not a string
  1 | x = derivation("x", builder = ["/bin/sh"], smoke = "bin/x")
    |                                            ^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn smoke_commands_are_strings_or_lists() -> TestResult {
    let error = error_of(
        r#"x = derivation("x", builder = ["/bin/sh"], smoke = [["bin/x", 1]])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:44: `smoke` of `derivation` must be a list of strings or of lists of words, but has a number in it
  1 | x = derivation("x", builder = ["/bin/sh"], smoke = [["bin/x", 1]])
    |                                            ^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn smoke_expects_a_text() -> TestResult {
    let error = error_of(
        r#"x = derivation("x", builder = ["/bin/sh"], smoke = {"bin/x": 1})
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:44: `smoke` of `derivation` must be a dict of commands and strings or `None`, but has a number in it
  1 | x = derivation("x", builder = ["/bin/sh"], smoke = {"bin/x": 1})
    |                                            ^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn smoke_without_words() -> TestResult {
    let error = error_of(
        r#"x = derivation("x", builder = ["/bin/sh"], smoke = [" "])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:44: `smoke` of `derivation` has a command without words
  1 | x = derivation("x", builder = ["/bin/sh"], smoke = [" "])
    |                                            ^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn all_of_the_sources_unshipped() -> TestResult {
    let error = error_of(
        r#"x = derivation("x", builder = ["/bin/sh"], unshipped = {"": "a"})
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:44: `unshipped` of `derivation` has a place without a name or without a reason
  1 | x = derivation("x", builder = ["/bin/sh"], unshipped = {"": "a"})
    |                                            ^^^^^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn smoke_outside_of_the_package() -> TestResult {
    let error = error_of(
        r#"x = derivation("x", builder = ["/bin/sh"], smoke = ["/bin/x --version"])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:44: `smoke` of `derivation` runs `/bin/x`, which must be a path below the package, such as `bin/hello`
  1 | x = derivation("x", builder = ["/bin/sh"], smoke = ["/bin/x --version"])
    |                                            ^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn smoke_that_climbs_out() -> TestResult {
    let error = error_of(
        r#"x = derivation("x", builder = ["/bin/sh"], smoke = {("bin/../../x", "a b"): None})
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:44: `smoke` of `derivation` runs `bin/../../x`, which must be a path below the package, such as `bin/hello`
  1 | x = derivation("x", builder = ["/bin/sh"], smoke = {("bin/../../x", "a b"): None})
    |                                            ^^^^^

"#]],
    );
    Ok(())
}

#[test]
fn smoke_with_a_store_path() -> TestResult {
    let error = error_of(
        r#"x = derivation("x", builder = ["/bin/sh"], smoke = ["bin/x /pith/store/x"])
"#,
    )?;
    assert_reads(
        error,
        str![[r#"
error: //x/recipe.star:1:44: `smoke` of `derivation` names a store path; commands run in the package's directory, so say `share/x` for a file of it
  1 | x = derivation("x", builder = ["/bin/sh"], smoke = ["bin/x /pith/store/x"])
    |                                            ^^^^^

"#]],
    );
    Ok(())
}
