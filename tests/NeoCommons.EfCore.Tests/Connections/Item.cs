namespace NeoCommons.EfCore.Tests.Connections;

internal sealed class Item
{
    public int Id { get; set; }

    public string Owner { get; set; } = "";
}
