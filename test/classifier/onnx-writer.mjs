// Writes small ONNX models, for tests, the benchmark and fixtures/model.onnx: what a trainer would export, in plain bytes.
//
// The specification: onnx.proto3 of ONNX 1.12 (field numbers), and the operators of the domain ai.onnx.ml. Only what the
// models here need.

const VARINT = 0;
const BYTES = 2;
const ELEMENT_TYPES = { float32: 1, int32: 6, int64: 7, string: 8, bool: 9, float64: 11 };
const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, floats: 6, ints: 7, strings: 8 };

/**
 * @typedef {{ feature: number, threshold: number, left: Tree, right: Tree } | { weights: number[] }} Tree
 * A node goes left when the feature is at most the threshold; a leaf has a weight for each class.
 * @typedef {{ name: string, type: string, shape?: (number | string)[] }} Value `type: 'maps'` is ZipMap's list of maps.
 * @typedef {{ op: string, domain?: string, inputs: string[], outputs: string[], attributes?: Record<string, object> }} Node
 */

/** @param {number | bigint} value */
function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}

/** A field that holds an integer. @param {number} number @param {number | bigint} value */
const int = (number, value) => Buffer.concat([varint((number << 3) | VARINT), varint(value)]);

/** A field that holds text, bytes or a message. @param {number} number @param {string | Uint8Array} value */
function field(number, value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([varint((number << 3) | BYTES), varint(bytes.length), bytes]);
}

/** @param {(Uint8Array | undefined | Uint8Array[])[]} fields lists of fields may be long */
const message = (...fields) => Buffer.concat(fields.flat().filter((one) => one !== undefined));

/** @param {number[]} values */
const floats = (values) => Buffer.from(new Float32Array(values).buffer);

/** @param {string} name @param {object} attribute one of { ints }, { floats }, { strings }, { int }, { string } */
function attributeProto(name, attribute) {
  const [kind, value] = Object.entries(attribute)[0];
  const content = {
    int: () => int(3, value),
    string: () => field(4, value),
    floats: () => field(7, floats(value)),
    ints: () => field(8, message(value.map(varint))),
    strings: () => message(value.map((/** @type {string} */ text) => field(9, text))),
  }[kind]();
  return message(field(1, name), content, int(20, ATTRIBUTE_TYPES[kind]));
}

/** @param {Node} node */
function nodeProto({ op, domain = '', inputs, outputs, attributes = {} }) {
  return message(
    ...inputs.map((name) => field(1, name)),
    ...outputs.map((name) => field(2, name)),
    field(4, op),
    ...Object.entries(attributes).map(([name, attribute]) => field(5, attributeProto(name, attribute))),
    field(7, domain),
  );
}

/** @param {Value} value */
function valueProto({ name, type, shape }) {
  if (type === 'maps') {
    const map = message(int(1, ELEMENT_TYPES.string), field(2, field(1, int(1, ELEMENT_TYPES.float32))));
    return message(field(1, name), field(2, field(4, field(1, field(5, map)))));
  }
  const dims = shape?.map((dim) => field(1, typeof dim === 'number' ? int(1, dim) : field(2, dim)));
  const tensor = message(int(1, ELEMENT_TYPES[type]), dims === undefined ? undefined : field(2, message(...dims)));
  return message(field(1, name), field(2, field(1, tensor)));
}

/** @param {{ name: string, dims: number[], data: number[], type?: string }} constant float32 or int64 */
function tensorProto({ name, dims, data, type = 'float32' }) {
  const values = type === 'int64' ? field(7, message(data.map(varint))) : field(4, floats(data));
  return message(...dims.map((dim) => int(1, dim)), int(2, ELEMENT_TYPES[type]), values, field(8, name));
}

/**
 * @param {{ nodes: Node[], inputs: Value[], outputs: Value[], constants?: { name: string, dims: number[], data: number[], type?: string }[],
 *   metadata?: Record<string, string> | undefined }} model
 * @returns {Uint8Array}
 */
export function onnxModel({ nodes, inputs, outputs, constants = [], metadata = {} }) {
  const graph = message(
    ...nodes.map((node) => field(1, nodeProto(node))),
    field(2, 'graph'),
    ...constants.map((constant) => field(5, tensorProto(constant))),
    ...inputs.map((value) => field(11, valueProto(value))),
    ...outputs.map((value) => field(12, valueProto(value))),
  );
  return new Uint8Array(
    message(
      int(1, 8),
      field(2, 'nfstream tests'),
      field(7, graph),
      field(8, message(field(1, ''), int(2, 13))),
      field(8, message(field(1, 'ai.onnx.ml'), int(2, 1))),
      ...Object.entries(metadata).map(([key, value]) => field(14, message(field(1, key), field(2, value)))),
    ),
  );
}

/** The attributes of TreeEnsembleClassifier: nodes and leaves of all trees as parallel lists. @param {Tree[]} trees */
function treeAttributes(trees) {
  /** @type {Record<string, (number | string)[]>} */
  const columns = {};
  const push = (/** @type {Record<string, number | string>} */ row) => {
    for (const [name, value] of Object.entries(row)) {
      columns[name] ??= [];
      columns[name].push(value);
    }
  };
  trees.forEach((root, tree) => {
    /** @type {Tree[]} */
    const nodes = [root];
    for (let id = 0; id < nodes.length; id++) {
      const node = nodes[id];
      const isLeaf = 'weights' in node;
      push({
        nodes_treeids: tree,
        nodes_nodeids: id,
        nodes_featureids: isLeaf ? 0 : node.feature,
        nodes_values: isLeaf ? 0 : node.threshold,
        nodes_modes: isLeaf ? 'LEAF' : 'BRANCH_LEQ',
        nodes_truenodeids: isLeaf ? 0 : nodes.length,
        nodes_falsenodeids: isLeaf ? 0 : nodes.length + 1,
      });
      if (!isLeaf) nodes.push(node.left, node.right);
      else {
        node.weights.forEach((weight, label) => {
          push({ class_treeids: tree, class_nodeids: id, class_ids: label, class_weights: weight / trees.length });
        });
      }
    }
  });
  return Object.fromEntries(
    Object.entries(columns).map(([name, values]) => {
      if (name === 'nodes_modes') return [name, { strings: values }];
      return [name, name === 'nodes_values' || name === 'class_weights' ? { floats: values } : { ints: values }];
    }),
  );
}

/**
 * A forest as scikit-learn converters write it: X -> label, probabilities (the mean of the leaves' weights).
 * @param {Tree[]} trees
 * @param {{ features: number | string, labels: (string | number)[], zipmap?: boolean, type?: string, batch?: number | string,
 *   metadata?: Record<string, string> | undefined }} options `features`: width of the input, or a text when it is left open
 */
export function forestModel(trees, { features, labels, zipmap = false, type = 'float32', batch = 'batch', metadata }) {
  const isText = labels.every((label) => typeof label === 'string');
  const classes = isText ? { classlabels_strings: { strings: labels } } : { classlabels_int64s: { ints: labels } };
  const scores = zipmap ? 'scores' : 'probabilities';
  /** @type {Node[]} */
  const nodes = [
    {
      op: 'TreeEnsembleClassifier',
      domain: 'ai.onnx.ml',
      inputs: ['X'],
      outputs: ['label', scores],
      attributes: { ...treeAttributes(trees), ...classes, post_transform: { string: 'NONE' } },
    },
  ];
  if (zipmap) {
    nodes.push({ op: 'ZipMap', domain: 'ai.onnx.ml', inputs: [scores], outputs: ['maps'], attributes: classes });
  }
  return onnxModel({
    nodes,
    inputs: [{ name: 'X', type, shape: [batch, features] }],
    outputs: [
      { name: 'label', type: isText ? 'string' : 'int64', shape: [batch] },
      zipmap
        ? { name: 'maps', type: 'maps' }
        : { name: 'probabilities', type: 'float32', shape: [batch, labels.length] },
    ],
    metadata,
  });
}
