package isolate

const RaceDetector = raceDetector
