// Installs and starts the engines that tests need, then runs those tests with nothing skipped. No place of this version
// needs an engine yet, so there is nothing to start; places on engines add theirs here.
console.log('No place of this version needs an engine: nothing to start.');
