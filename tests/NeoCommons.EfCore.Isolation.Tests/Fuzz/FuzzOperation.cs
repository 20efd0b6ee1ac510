namespace NeoCommons.EfCore.Isolation.Tests.Fuzz;

/// <summary>One kind of thing that an application does with a tenant's context.</summary>
/// <param name="Name">What it is called in the report.</param>
/// <param name="Writes">Whether a context that only reads would refuse it.</param>
/// <param name="Needs">What the binding must promise.</param>
/// <param name="ExecuteAsync">Does it, and reports what it saw.</param>
internal sealed record FuzzOperation(string Name, bool Writes, Doors Needs, Func<FuzzStep, Task> ExecuteAsync);
