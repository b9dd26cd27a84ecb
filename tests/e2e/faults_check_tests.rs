//! The checker finds each violation, in observations with no other.

use std::time::Duration;

use crate::crash_random::Random;
use crate::faults_check::{Answer, Death, Event, Read, Silence, Story, judge};
use crate::faults_repo::{List, State};

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Four commits; content `2 * n` are the users of commit `n`, content `2 * n + 1` its machines.
fn story() -> Story {
    let mut random = Random::of(7);
    let mut states = vec![State::first()];
    for _ in 0..3 {
        states.push(states[states.len() - 1].next(&mut random));
    }
    let lists = |state: &State| [List::Users, List::Machines].map(|list| (list, state.rows(list)));
    Story {
        contents: states.iter().flat_map(lists).collect(),
        states,
        ..Story::default()
    }
}

/// A read on an engine's connection of the same number, from one instant to a millisecond later.
fn read(engine: usize, asked: u64, generation: u64, content: usize) -> Read {
    Read {
        engine,
        connection: engine as u64,
        asked: at(asked),
        answered: at(asked + 1),
        generation,
        content,
    }
}

fn answer(answered: u64, pushed: u64, commit: u64) -> Answer {
    Answer {
        engine: 0,
        answered: at(answered),
        pushed,
        commit: Some(commit),
        generation: commit + 1,
    }
}

fn applied(generation: u64) -> Event {
    Event::Applied {
        generation,
        commit: Some(generation - 1),
    }
}

/// The violations in an observation, each by its first words.
fn found(story: &Story) -> Vec<String> {
    let wrong = judge(story);
    let kind = |text: &String| text.split(':').next().unwrap_or_default().to_owned();
    wrong.iter().map(kind).collect()
}

#[test]
fn a_story_in_which_all_is_well_is_judged_so() {
    let mut story = story();
    story.reads = vec![
        read(0, 1, 1, 0),
        read(0, 3, 2, 3),
        read(1, 5, 1, 1),
        read(1, 20, 4, 6),
        read(0, 30, 4, 7),
    ];
    story.answers = vec![answer(25, 3, 3)];
    story.histories = vec![
        (1..=4).map(applied).collect(),
        (2..=4).map(applied).collect(),
    ];
    assert_eq!(judge(&story), Vec::<String>::new());
}

#[test]
fn half_a_commit_is_found() {
    // One change of the next commit is already there; one object is missing; only the mark is new.
    for spoil in [0, 1, 2] {
        let mut story = story();
        let next = story.states[2].rows(List::Users);
        let (_, rows) = &mut story.contents[2];
        match spoil {
            0 => {
                let before = rows.clone();
                let new = next
                    .iter()
                    .find(|row| !before.contains(row) && !row.0.contains("mark"));
                rows.retain(|row| Some(&row.0) != new.map(|new| &new.0));
                rows.extend(new.cloned());
                rows.sort();
            }
            1 => drop(rows.pop()),
            _ => rows[0] = next[0].clone(),
        }
        story.reads = vec![read(0, 1, 2, 2)];
        assert_eq!(found(&story), ["half a commit"], "{spoil}");
    }
}

#[test]
fn a_stale_read_after_an_acknowledgement_of_the_same_engine_is_found() {
    let mut story = story();
    story.answers = vec![answer(10, 2, 2)];
    story.reads = vec![read(0, 11, 2, 2)];
    assert_eq!(found(&story), ["a stale read after an acknowledgement"]);
    // A request in flight at the time, and one to another engine, may return older data.
    story.reads = vec![read(0, 9, 2, 2), read(1, 11, 2, 2)];
    assert!(found(&story).is_empty());
}

#[test]
fn a_step_back_is_found_on_a_connection_and_on_another_one_of_the_same_engine() {
    let mut story = story();
    story.reads = vec![read(0, 1, 3, 4), read(0, 3, 2, 3)];
    assert_eq!(found(&story), ["a step back on a connection"]);
    story.reads[1].connection = 9;
    assert_eq!(found(&story), ["a step back on an engine"]);
    story.reads[1].engine = 1;
    assert!(found(&story).is_empty());
}

#[test]
fn nothing_at_all_after_something_is_a_step_back() {
    let mut story = story();
    story.contents.push((List::Users, Vec::new()));
    story.reads = vec![read(0, 1, 0, 8), read(0, 3, 1, 0), read(0, 5, 0, 8)];
    assert_eq!(found(&story), ["a step back on a connection"]);
}

#[test]
fn a_generation_with_two_contents_across_engines_is_found() {
    let mut story = story();
    story.reads = vec![read(0, 1, 2, 2), read(1, 1, 2, 4)];
    assert_eq!(found(&story), ["a generation with two contents"]);
    story.reads = vec![read(0, 1, 2, 2)];
    story.histories = vec![vec![Event::Applied {
        generation: 2,
        commit: Some(3),
    }]];
    assert_eq!(found(&story), ["a generation with two contents"]);
}

#[test]
fn a_generation_skipped_or_repeated_in_a_history_is_found() {
    for generations in [[1, 2, 4], [1, 2, 2], [1, 3, 2]] {
        let mut story = story();
        story.histories = vec![generations.map(applied).to_vec()];
        let found = found(&story);
        assert!(
            found
                .iter()
                .all(|kind| kind == "a generation skipped or repeated")
                && !found.is_empty(),
            "{generations:?}: {found:?}"
        );
    }
}

#[test]
fn a_commit_in_force_twice_or_before_its_parent_is_found() {
    let mut story = story();
    story.reads = vec![read(0, 1, 2, 2), read(0, 3, 3, 2)];
    assert_eq!(found(&story), ["commits out of order"]);
    story.reads = vec![read(0, 1, 2, 4), read(0, 3, 3, 2)];
    assert_eq!(found(&story), ["commits out of order"]);
}

#[test]
fn an_acknowledged_commit_that_is_lost_is_found() {
    let mut story = story();
    story.answers = vec![answer(10, 2, 2)];
    story.histories = vec![vec![applied(1), applied(2)]];
    assert_eq!(found(&story), ["an acknowledged commit lost"]);
}

#[test]
fn an_acknowledgement_of_less_than_was_asked_about_is_found() {
    let mut story = story();
    story.answers = vec![answer(10, 3, 2)];
    assert_eq!(found(&story), ["acknowledged too early"]);
}

#[test]
fn an_event_that_did_not_happen_is_found_in_a_history() {
    let mut story = story();
    story.histories = vec![vec![applied(1), Event::Other("restored".to_owned())]];
    assert_eq!(found(&story), ["a strange event"]);
}

#[test]
fn a_reader_without_an_answer_is_found_unless_the_engine_was_dead() {
    let mut story = story();
    story.silences = vec![Silence {
        engine: 1,
        asked: at(10),
        given_up: at(20),
        why: "reset".to_owned(),
    }];
    assert_eq!(found(&story), ["no answer"]);
    let death = |engine, from, until| Death {
        engine,
        from: at(from),
        until: at(until),
    };
    story.deaths = vec![death(0, 5, 30), death(1, 21, 30), death(1, 1, 9)];
    assert_eq!(found(&story), ["no answer"]);
    story.deaths.push(death(1, 15, 30));
    assert!(found(&story).is_empty());
}
