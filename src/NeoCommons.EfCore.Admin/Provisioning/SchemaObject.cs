namespace NeoCommons.EfCore.Admin;

/// <summary>An object of a schema, described so that the same object of another schema reads the same.</summary>
/// <param name="Kind">What it is: <c>table</c>, <c>column</c>, <c>index</c>.</param>
/// <param name="Name">Its name within the schema.</param>
/// <param name="Definition">What makes it what it is.</param>
internal sealed record SchemaObject(string Kind, string Name, string Definition)
{
    public override string ToString() => $"{Kind} {Name}";
}
