//! The examples of README.md work as they are written.

use crate::support::{BINARY, Program, gateway, recorded_session};

const README: &str = include_str!("../../README.md");

/// A command and what it prints.
struct Example {
    command: String,
    printed: String,
}

fn examples() -> Vec<Example> {
    let blocks = README.split("```console\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines);
    let mut examples: Vec<Example> = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), examples.last_mut()) {
            (Some(command), _) => examples.push(Example {
                command: command.to_owned(),
                printed: String::new(),
            }),
            (None, Some(example)) => {
                example.printed.push_str(line);
                example.printed.push('\n');
            }
            (None, None) => panic!("output before a command: {line}"),
        }
    }
    examples
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_examples_print_what_the_readme_says() {
    let examples = examples();
    assert!(examples.len() > 8);
    let folder = std::path::Path::new(BINARY).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let mut setup = String::new();
    for Example { command, printed } in examples {
        if !command.starts_with("face-liveness ") {
            setup.push_str(&command);
            setup.push('\n');
            continue;
        }
        let gateway = gateway().await;
        gateway.enqueue(recorded_session());
        let script = format!("{setup}{command} 2>&1");
        let program = Program::new("sh").at(&gateway).env("PATH", &path);
        let ran = program.args(["-c", &script]).run().await;
        assert_eq!(ran.stdout, printed, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_profiles_of_the_readme_are_valid() {
    let file = README
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let program = Program::new(BINARY)
        .file(".config/face-liveness/config.toml", file)
        .args([
            "create",
            "--profile",
            "staging",
            "--generate-cli-skeleton",
            "output",
        ]);
    assert_eq!(program.run().await.good(), "SessionId\n");
}

#[test]
fn every_variable_of_the_program_is_in_the_readme() {
    let sources = [
        include_str!("../../src/settings.rs"),
        include_str!("../../src/profile.rs"),
    ];
    let names = sources.iter().flat_map(|source| source.split('"'));
    let variables = names.filter(|name| {
        ["FACE_LIVENESS_", "AWS_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    });
    let mut count = 0;
    for variable in variables {
        count += 1;
        assert!(README.contains(&format!("`{variable}`")), "{variable}");
    }
    assert!(count >= 12, "{count} variables were found");
}
