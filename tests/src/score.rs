//! What `/score` says.

use serde::Deserialize;

/// One step: the choice of the model, the best candidates, and a checksum over all logits.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Step {
    /// Number of the step, from 0.
    pub step: usize,
    /// The id with the highest logit.
    pub id: u32,
    /// The best ids with their logits, in descending order.
    pub top: Vec<(u32, f64)>,
    /// CRC-32 over the bits of all logits, as hexadecimal digits: equal only if every bit is.
    pub crc: String,
}

impl Step {
    /// The logit of an id, if it is among the best.
    #[must_use]
    pub fn logit(&self, id: u32) -> Option<f64> {
        self.top.iter().find(|(candidate, _)| *candidate == id).map(|(_, logit)| *logit)
    }
}

/// A whole score.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// All steps in their order.
    pub steps: Vec<Step>,
}

/// The line behind the last step.
#[derive(Deserialize)]
struct Done {
    done: bool,
    stop: String,
}

impl Score {
    /// Reads the lines that the console showed.
    ///
    /// # Errors
    /// What is wrong, for the one who reads the failed test.
    pub fn from_console(shown: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for line in shown.lines().map(str::trim).filter(|line| line.starts_with('{')) {
            if let Ok(done) = serde_json::from_str::<Done>(line) {
                return match done.stop.as_str() {
                    "complete" if done.done => Ok(Self { steps }),
                    other => Err(format!("the score stopped with {other:?} after {} steps", steps.len())),
                };
            }
            let step = serde_json::from_str::<Step>(line).map_err(|error| format!("{error} in {line}"))?;
            if step.step != steps.len() {
                return Err(format!("step {} came where {} was due", step.step, steps.len()));
            }
            steps.push(step);
        }
        Err(format!("the score has {} steps and no end", steps.len()))
    }

    /// The chosen ids.
    #[must_use]
    pub fn ids(&self) -> Vec<u32> {
        self.steps.iter().map(|step| step.id).collect()
    }

    /// The checksums over the logits.
    #[must_use]
    pub fn checksums(&self) -> Vec<&str> {
        self.steps.iter().map(|step| step.crc.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: &str = r#"{"step":0,"id":7,"top":[[7,1.5],[3,-2.25]],"crc":"00ff00ff"}"#;

    #[test]
    fn steps_are_read_up_to_the_end() {
        let shown = format!("some text\n{STEP}\n{{\"done\":true,\"stop\":\"complete\",\"prompt_tokens\":3}}\nrest");
        let score = Score::from_console(&shown).unwrap();
        assert_eq!(score.ids(), [7]);
        assert_eq!(score.checksums(), ["00ff00ff"]);
        assert_eq!(score.steps[0].logit(3), Some(-2.25));
        assert_eq!(score.steps[0].logit(4), None);
    }

    #[test]
    fn what_is_not_a_whole_score_is_an_error() {
        for shown in [
            "",
            STEP,
            "{\"done\":true,\"stop\":\"fault\"}",
            "{\"step\":1,\"id\":7,\"top\":[],\"crc\":\"0\"}",
            "{\"step\":0,",
        ] {
            assert!(Score::from_console(shown).is_err(), "{shown}");
        }
    }
}
