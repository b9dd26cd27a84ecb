//! The checker of the fault tests: whether all answers of all engines, to readers and writers and in their histories,
//! fit one history in which every commit came into force atomically, once, and in order. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::faults_repo::{List, Rows, State, said_by};

/// All observations of a run. Instants are counted from its start.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// The commits by number, in push order.
    pub(crate) states: Vec<State>,
    /// Every list read, deduplicated.
    pub(crate) contents: Vec<(List, Rows)>,
    pub(crate) reads: Vec<Read>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) silences: Vec<Silence>,
    /// When engines were dead, from before the kill until they served again.
    pub(crate) deaths: Vec<Death>,
    /// The final history as each engine reports it, oldest first.
    pub(crate) histories: Vec<Vec<Event>>,
}

/// A list returned by an engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Read {
    pub(crate) engine: usize,
    pub(crate) connection: u64,
    pub(crate) asked: Duration,
    pub(crate) answered: Duration,
    pub(crate) generation: u64,
    /// The index of its content.
    pub(crate) content: usize,
}

/// An engine's answer that the branch's head is in force, to a request that waited for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) engine: usize,
    pub(crate) answered: Duration,
    /// The newest commit on the branch at the time of the request.
    pub(crate) pushed: u64,
    /// The commit in force according to the answer; `None` if it was never pushed.
    pub(crate) commit: Option<u64>,
    pub(crate) generation: u64,
}

/// A reader that got no answer.
#[derive(Debug, Clone)]
pub(crate) struct Silence {
    pub(crate) engine: usize,
    pub(crate) asked: Duration,
    pub(crate) given_up: Duration,
    pub(crate) why: String,
}

/// A time in which an engine need not answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Death {
    pub(crate) engine: usize,
    pub(crate) from: Duration,
    pub(crate) until: Duration,
}

/// An entry of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Applied {
        generation: u64,
        /// `None` if it was never pushed.
        commit: Option<u64>,
    },
    /// A refusal or a restore: these runs give no reason for either.
    Other(String),
}

/// All violations in an observation, as readable text; empty if there are none.
pub(crate) fn judge(story: &Story) -> Vec<String> {
    let mut generations = Generations::default();
    let mut wrong = Vec::new();
    wrong.extend(mixtures(story, &mut generations));
    wrong.extend(early_answers(story, &mut generations));
    wrong.extend(broken_histories(story, &mut generations));
    wrong.append(&mut generations.wrong);
    wrong.extend(generations.out_of_order());
    wrong.extend(steps_back(story));
    wrong.extend(silences(story));
    wrong
}

/// The commit of each generation, according to all observations.
#[derive(Default)]
struct Generations {
    commits: BTreeMap<u64, (u64, String)>,
    wrong: Vec<String>,
}

impl Generations {
    fn learn(&mut self, generation: u64, commit: u64, by: &str) {
        match self.commits.get(&generation) {
            Some((known, before)) if *known != commit => self.wrong.push(format!(
                "a generation with two contents: {generation} is commit {known} by {before} and commit {commit} by {by}"
            )),
            Some(_) => {}
            None => drop(self.commits.insert(generation, (commit, by.to_owned()))),
        }
    }

    /// A later generation has a later commit; so no commit comes into force twice.
    fn out_of_order(&self) -> impl Iterator<Item = String> {
        let pairs = self.commits.iter().zip(self.commits.iter().skip(1));
        let wrong = pairs.filter(|((_, before), (_, after))| before.0 >= after.0);
        wrong.map(|((one, (before, _)), (other, (after, by)))| {
            format!(
                "commits out of order: generation {one} is commit {before}, and {other} is commit {after} by {by}"
            )
        })
    }
}

/// Lists that match no commit as a whole. Those that match determine the commit of their
/// generation.
fn mixtures(story: &Story, generations: &mut Generations) -> Vec<String> {
    let mut wrong = Vec::new();
    let commits: Vec<Result<u64, String>> = (story.contents.iter())
        .map(|(list, rows)| whole(story, *list, rows))
        .collect();
    for read in &story.reads {
        let by = format!("a list that engine {} gave", read.engine + 1);
        match commits.get(read.content) {
            // Before the first commit, both kinds of list are empty.
            _ if read.generation == 0 => {}
            Some(Ok(commit)) => generations.learn(read.generation, *commit, &by),
            Some(Err(why)) => wrong.push(format!(
                "half a commit: {by} as generation {} at {:?}: {why}",
                read.generation, read.answered
            )),
            None => wrong.push(format!("{by} was not kept")),
        }
    }
    wrong
}

/// The commit that a list matches exactly.
fn whole(story: &Story, list: List, rows: &Rows) -> Result<u64, String> {
    let said = said_by(rows);
    let state = said.and_then(|number| story.states.get(usize::try_from(number).ok()?));
    let Some(state) = state else {
        return Err(format!("{list:?} of no commit ({said:?} by their mark)"));
    };
    let wanted = state.rows(list);
    if wanted == *rows {
        return Ok(state.number);
    }
    let strange = rows.iter().find(|row| !wanted.contains(row));
    let missing = wanted.iter().find(|row| !rows.contains(row));
    Err(format!(
        "{list:?} of commit {} by their mark, but with {strange:?} and without {missing:?}",
        state.number
    ))
}

/// Answers that the branch's head is in force although an older commit is.
fn early_answers(story: &Story, generations: &mut Generations) -> Vec<String> {
    let mut wrong = Vec::new();
    for answer in &story.answers {
        let by = format!("an answer of engine {}", answer.engine + 1);
        if let Some(commit) = answer.commit {
            generations.learn(answer.generation, commit, &by);
        }
        if answer.commit.is_none_or(|commit| commit < answer.pushed) {
            wrong.push(format!(
                "acknowledged too early: {by} at {:?} says in force for commit {:?}, generation {}, asked about {}",
                answer.answered, answer.commit, answer.generation, answer.pushed
            ));
        }
    }
    wrong
}

/// Histories that do not have every generation exactly once.
fn broken_histories(story: &Story, generations: &mut Generations) -> Vec<String> {
    let mut wrong = Vec::new();
    for (engine, history) in story.histories.iter().enumerate() {
        let by = format!("the history of engine {}", engine + 1);
        let mut last: Option<u64> = None;
        for event in history {
            let Event::Applied { generation, commit } = event else {
                wrong.push(format!("a strange event: {by} has {event:?}"));
                continue;
            };
            // The oldest entries may have been trimmed.
            if last.is_some_and(|last| last + 1 != *generation) {
                wrong.push(format!(
                    "a generation skipped or repeated: {by} has {generation} after {last:?}"
                ));
            }
            last = Some(*generation);
            match commit {
                Some(commit) => generations.learn(*generation, *commit, &by),
                None => wrong.push(format!("{by} has a commit that was never pushed")),
            }
        }
        let told = story.answers.iter().map(|answer| answer.generation).max();
        if last < told {
            wrong.push(format!(
                "an acknowledged commit lost: {by} ends with {last:?}, and {told:?} was in force"
            ));
        }
    }
    wrong
}

/// Lists older than what the same engine had reported before the request.
fn steps_back(story: &Story) -> Vec<String> {
    /// The instant from which an engine must not report anything older, and why.
    struct Floor {
        from: Duration,
        generation: u64,
        connection: Option<u64>,
    }
    let engines = story.reads.iter().map(|read| read.engine).max();
    let mut wrong = Vec::new();
    for engine in 0..=engines.unwrap_or_default() {
        let of = |read: &&Read| read.engine == engine;
        let read = |read: &Read| Floor {
            from: read.answered,
            generation: read.generation,
            connection: Some(read.connection),
        };
        let answers = (story.answers.iter()).filter(|answer| answer.engine == engine);
        let answer = |answer: &Answer| Floor {
            from: answer.answered,
            generation: answer.generation,
            connection: None,
        };
        let mut floors: Vec<Floor> = answers.map(answer).collect();
        floors.extend(story.reads.iter().filter(of).map(read));
        floors.sort_by_key(|floor| floor.from);
        let mut floors = floors.iter().peekable();
        let mut highest: Option<&Floor> = None;
        let mut reads: Vec<&Read> = story.reads.iter().filter(of).collect();
        reads.sort_by_key(|read| read.asked);
        for read in reads {
            while let Some(floor) = floors.next_if(|floor| floor.from < read.asked) {
                // If both report the same, the acknowledgement is the stronger evidence.
                let rank = |floor: &Floor| (floor.generation, floor.connection.is_none());
                if highest.is_none_or(|highest| rank(floor) > rank(highest)) {
                    highest = Some(floor);
                }
            }
            let Some(floor) = highest.filter(|floor| floor.generation > read.generation) else {
                continue;
            };
            let what = match floor.connection {
                None => "a stale read after an acknowledgement",
                Some(connection) if connection == read.connection => "a step back on a connection",
                Some(_) => "a step back on an engine",
            };
            wrong.push(format!(
                "{what}: engine {} gave generation {} at {:?}, asked at {:?}; it had said {} at {:?}",
                engine + 1, read.generation, read.answered, read.asked, floor.generation, floor.from
            ));
        }
    }
    wrong
}

/// Readers without an answer although the engine was alive: it must serve its last state, whatever the store does.
fn silences(story: &Story) -> impl Iterator<Item = String> {
    let excused = |silence: &Silence| {
        story.deaths.iter().any(|death| {
            death.engine == silence.engine
                && death.from <= silence.given_up
                && silence.asked <= death.until
        })
    };
    let silences = story.silences.iter().filter(move |s| !excused(s));
    silences.map(|silence| {
        format!(
            "no answer: engine {} was asked at {:?}, until {:?}: {}",
            silence.engine + 1,
            silence.asked,
            silence.given_up,
            silence.why
        )
    })
}
