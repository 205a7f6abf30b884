// Engines that come as jars: resolved by Debian's mvn from Maven Central (or what the machine's own settings put in its place) and kept
// outside the repository. Tests only.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What Maven is asked for: `group:artifact:version`. What those need comes with them. */
export type Coordinate = `${string}:${string}:${string}`;

/** How long Maven may take, in milliseconds. */
const FETCH_MS = 300_000;

/** A Java machine that is small and quick to start. */
export const JAVA_SMALL: readonly string[] = [
  '-Xms64m',
  '-Xmx400m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Xshare:auto',
];

/** Debian's packages that are missing for an engine in Java. A Java or a Maven that is there already is good enough. */
export function javaPackages(): readonly string[] {
  const needed = { '/usr/bin/java': 'default-jre-headless', '/usr/bin/mvn': 'maven' };
  return Object.entries(needed).flatMap(([path, name]) => (existsSync(path) ? [] : [name]));
}

/** A set of jars that belong together. */
export class Jars {
  readonly #coordinates: readonly Coordinate[];
  /** Where they lie, once they were fetched. */
  readonly folder: string;

  /** @param name  for the folder; another set of coordinates gets another folder */
  constructor(name: string, coordinates: readonly Coordinate[]) {
    this.#coordinates = coordinates;
    const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
    const digest = createHash('sha256').update(coordinates.join(' ')).digest('hex').slice(0, 8);
    this.folder = join(cache, 'naru', 'jars', `${name}-${digest}`);
  }

  /** What follows `-cp`; undefined while they were not fetched. */
  get classPath(): string | undefined {
    return existsSync(this.folder) ? join(this.folder, '*') : undefined;
  }

  /** Gets them unless they are there. @throws Error with what Maven said */
  fetch(): void {
    if (this.classPath !== undefined) return;
    const parent = join(this.folder, '..');
    mkdirSync(parent, { recursive: true });
    const work = mkdtempSync(join(parent, '.fetching-'));
    try {
      writeFileSync(join(work, 'pom.xml'), this.#project());
      const jars = join(work, 'jars');
      copyDependencies(work, jars);
      if (readdirSync(jars).length === 0) throw new Error('mvn brought no jar');
      // Complete or not there; of two that fetch at once one wins.
      if (!existsSync(this.folder)) renameSync(jars, this.folder);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }

  #project(): string {
    const dependencies = this.#coordinates.map((coordinate) => {
      const [group, artifact, version] = coordinate.split(':');
      return `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
    });
    return `<project><modelVersion>4.0.0</modelVersion><groupId>naru</groupId><artifactId>jars</artifactId><version>1</version>
<packaging>pom</packaging><dependencies>${dependencies.join('\n')}</dependencies></project>
`;
  }
}

function copyDependencies(project: string, into: string): void {
  const args = [
    '-q',
    '-B',
    'dependency:copy-dependencies',
    `-DoutputDirectory=${into}`,
    '-Dmdep.copyPom=false',
  ];
  const { status, stdout, stderr, error } = spawnSync('mvn', args, {
    cwd: project,
    encoding: 'utf8',
    timeout: FETCH_MS,
  });
  if (status === 0) return;
  const said = `${stdout ?? ''}${stderr ?? ''}`.split('\n').find((line) => line.includes('[ERROR]'));
  throw new Error(`mvn ${args[2]}: ${error?.message ?? said ?? `ended with ${status}`}`);
}
