//! An MCP client lists the models of the card and loads another one.

use barellama::card::CardSize;
use barellama_tests::card::Card;
use barellama_tests::client::Client;
use barellama_tests::machine::LONG;
use barellama_tests::monitor::Monitor;
use barellama_tests::{Machine, artifacts};
use serde_json::{Value, json};

fn models(client: &mut Client, arguments: Value) -> Value {
    let id = client
        .request("tools/call", &json!({"name": "models", "arguments": arguments, "_meta": {"progressToken": "load"}}));
    client.answer(id)["result"].clone()
}

fn loaded(client: &mut Client) -> Vec<(String, bool)> {
    let result = models(client, json!({"action": "list"}));
    let entries = result["structuredContent"]["models"].as_array().unwrap_or_else(|| panic!("{result}")).clone();
    let entry = |entry: Value| (entry["name"].as_str().unwrap().to_owned(), entry["is_loaded"].as_bool().unwrap());
    entries.into_iter().map(entry).collect()
}

fn text(client: &mut Client) -> String {
    let call = client.generate(12);
    let answer = client.answer(call);
    answer["result"]["structuredContent"]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[test]
fn a_client_changes_the_model() {
    let (first, second) = (artifacts::tiny("q4_0"), artifacts::tiny("iq2_xs"));
    let files = [("a.gguf", first.as_path()), ("b.gguf", second.as_path())];
    let card = Card::with_files(CardSize::Auto, &files);
    let directory = tempfile::tempdir().unwrap();
    let (socket, monitor) = (directory.path().join("serial.sock"), directory.path().join("monitor.sock"));
    let setup = Machine::raspi4b().card(&card.path()).serial_socket(&socket).monitor_socket(&monitor);
    let mut machine = setup.boot();
    let monitor = Monitor::new(&monitor);
    machine.expect("Ready.", LONG);
    let mut client = Client::start(&format!("unix:{}", socket.display()));
    client.initialize();
    assert_eq!(loaded(&mut client), [("a.gguf".to_owned(), true), ("b.gguf".to_owned(), false)]);
    let before = text(&mut client);

    let refused = models(&mut client, json!({"action": "load", "name": "c.gguf"}));
    assert_eq!(refused["isError"], true, "{refused}");
    assert_eq!(text(&mut client), before, "a refusal changes nothing");

    monitor.pull_card();
    assert_eq!(loaded(&mut client), [("a.gguf".to_owned(), true)], "the card is asked; the model in memory is there");
    let refused = models(&mut client, json!({"action": "load", "name": "b.gguf"})).to_string();
    assert!(refused.contains("The model was not changed: no SD card answers"), "{refused}");
    assert_eq!(text(&mut client), before, "the model in memory needs no card");
    monitor.put_card(&card.path());

    client.notifications.clear();
    let result = models(&mut client, json!({"action": "load", "name": "b.gguf"}));
    assert_eq!(result["structuredContent"]["models"], json!([{"name": "b.gguf", "is_loaded": true}]), "{result}");
    assert!(client.notifications.iter().all(|message| message["params"]["progressToken"] == "load"));
    assert_eq!(loaded(&mut client), [("a.gguf".to_owned(), false), ("b.gguf".to_owned(), true)]);
    assert_ne!(text(&mut client), before);
    let card = client.call("resources/read", &json!({"uri": "pi://model/card"}));
    assert!(
        card["result"]["contents"][0]["text"].as_str().is_some_and(|text| text.contains("layers iq2_xs")),
        "{card}"
    );
}
