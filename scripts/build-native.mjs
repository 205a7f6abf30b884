export function buildAddon() {}
