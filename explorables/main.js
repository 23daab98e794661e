export function render() {}
export function start() {}
